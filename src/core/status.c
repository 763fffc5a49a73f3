/* SPDX-License-Identifier: MIT */
#include "core/status.h"
#include "core/text.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A plain array: no heap, and no destructor that could outlive the library when a program unloads it. */
static _Thread_local char message[LOSSFN__MESSAGE_TEXT];

/* A message is one line, whatever was in a caller's string, and is not cut inside a UTF-8 character. */
static void tidy(char *text, int cut) {
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) text[i] = '?';
    if (!cut) return;
    n -= 3;
    while (n > 0 && lossfn__is_continuation(text[n])) n--;
    strcpy(text + n, "...");
}

#undef lossfn__fail
lossfn_status_t lossfn__fail(lossfn_status_t status, const char *format, ...) {
    char text[LOSSFN__MESSAGE_TEXT]; /* the arguments may point into the old message */
    int saved = errno;
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n < 0) strcpy(text, lossfn_status_text(status));
    tidy(text, n >= LOSSFN__MESSAGE_TEXT);
    memcpy(message, text, sizeof text);
    errno = saved;
    return status;
}

const char *lossfn__message(void) { return message; }

void lossfn__copy_message(char *buf, int64_t cap) {
    size_t n = strlen(message);
    if (!buf || cap <= 0) return;
    if ((int64_t)n >= cap) {
        n = (size_t)cap - 1;
        while (n > 0 && lossfn__is_continuation(message[n])) n--;
    }
    memcpy(buf, message, n);
    buf[n] = 0;
}

void lossfn__restore_message(const char *text) { snprintf(message, sizeof message, "%s", text); }

const char *lossfn__format_shape(int32_t ndim, const int64_t *shape, char buf[192]) {
    lossfn__writer_t out = {buf, LOSSFN__SHAPE_TEXT, 0};
    char number[32];
    lossfn__put(&out, "(");
    for (int32_t i = 0; i < ndim; i++) {
        if (i > 0) lossfn__put(&out, ", ");
        lossfn__put(&out, lossfn__format_integer(shape[i], number));
    }
    lossfn__put(&out, ndim == 1 ? ",)" : ")");
    return buf;
}
