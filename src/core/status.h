/* SPDX-License-Identifier: MIT
 * The only way to make a failing status: together with its message. */
#ifndef LOSSFN_CORE_STATUS_H
#define LOSSFN_CORE_STATUS_H

#include "lossfn/lossfn.h"
#include "core/number.h"

#if defined(__GNUC__)
#define LOSSFN__PRINTF(text, first) __attribute__((format(printf, text, first), cold))
#else
#define LOSSFN__PRINTF(text, first)
#endif

/* Sets this thread's message and returns `status`. Formats without the locale: %g and %f must not be used, numbers go
 * through lossfn__format_double. Leaves errno alone. */
lossfn_status_t lossfn__fail(lossfn_status_t status, const char *format, ...) LOSSFN__PRINTF(2, 3);
#ifdef __clang_analyzer__ /* tells it that a failure is never LOSSFN_OK */
#define lossfn__fail(status, ...) (lossfn__fail(status, __VA_ARGS__), (status))
#endif

enum { LOSSFN__DOUBLE_TEXT = 32, LOSSFN__MESSAGE_TEXT = 512 };
/* "(3, 2)" */
enum { LOSSFN__SHAPE_TEXT = 192 };
const char *lossfn__format_shape(int32_t ndim, const int64_t *shape, char buf[192]);

/* This thread's message; "" if nothing has failed. */
const char *lossfn__message(void);
/* Copies it to buf, cut to cap bytes with the final NUL. */
void lossfn__copy_message(char *buf, int64_t cap);
/* Puts back what was copied, for who goes on after a failure and succeeds. */
void lossfn__restore_message(const char *text);

/* Returns from the calling function with a failure when the condition does not hold. */
#define LOSSFN__REQUIRE(condition, status, ...)                                                                        \
    do {                                                                                                               \
        if (!(condition)) return lossfn__fail(status, __VA_ARGS__);                                                    \
    } while (0)
/* Forwards a failure. */
#define LOSSFN__TRY(call)                                                                                              \
    do {                                                                                                               \
        lossfn_status_t status_ = (call);                                                                              \
        if (status_ != LOSSFN_OK) return status_;                                                                      \
    } while (0)

#endif
