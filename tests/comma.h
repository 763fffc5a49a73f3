/* SPDX-License-Identifier: MIT
 * A locale that writes 1,5 where C writes 1.5. Included after <cmocka.h>. */
#ifndef LOSSFN_TESTS_COMMA_H
#define LOSSFN_TESTS_COMMA_H

#include <locale.h>
#include <stddef.h>
#include <string.h>

/* Sets it; where there is none the test counts as skipped. cmake/bootstrap makes de_DE.UTF-8 below build/, and run.py
 * lets it be found. */
static inline void need_decimal_comma(void) {
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (setlocale(LC_ALL, names[i]) && strcmp(localeconv()->decimal_point, ",") == 0) return;
    setlocale(LC_ALL, "C");
    print_message("there is no locale with a decimal comma: sh cmake/bootstrap test makes one\n");
    skip();
}

#endif
