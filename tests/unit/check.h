/* check.h - cmocka with the headers it wants, and a few assertions of ours. */
#ifndef TANDEM_CHECK_H
#define TANDEM_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

/* Asserts success and shows the error's sentence otherwise. */
#define check_ok(expression, e)                                                      \
    do {                                                                             \
        int check_code_ = (expression);                                              \
        if (check_code_ < 0)                                                         \
            fail_msg("%s: %s: %s", #expression, err_name(check_code_), (e)->text);   \
    } while (0)

/* Asserts failure with `code` and a text that contains `words`. */
#define check_err(expression, code, e, words)                                        \
    do {                                                                             \
        int check_code_ = (expression);                                              \
        if (check_code_ != (code))                                                   \
            fail_msg("%s gave %s, not %s: %s", #expression, err_name(check_code_),   \
                     err_name(code), check_code_ ? (e)->text : "");                  \
        if (!strstr((e)->text, (words)))                                             \
            fail_msg("\"%s\" does not say \"%s\"", (e)->text, (words));              \
    } while (0)

#endif
