/* results_build.h - what the readers of results share; for src/repo/results*.c and
 * coverage.c alone. */
#ifndef TANDEM_RESULTS_BUILD_H
#define TANDEM_RESULTS_BUILD_H

#include "repo/results.h"

#include <stdbool.h>

struct str;

enum {
    RESULTS_MAX_BYTES = 8 << 20,
    RESULTS_MAX_TESTS = 20000,
    RESULTS_MAX_ID = 1000,
    RESULTS_MAX_MESSAGE = 8192,
};

struct results_builder {
    struct arena *arena;
    struct test_result *tests;
    size_t count, room;
};

/* Copies id and message, cut and cleaned. */
int results_add(struct results_builder *b, const char *id, size_t id_len, enum test_outcome outcome,
                const char *message, size_t message_len, struct err *e);
/* Sorts and unites. */
void results_finish(struct results_builder *b, const char *incomplete, struct test_results *ret);

/* ERR_LIMIT when a file of results is too large. */
int results_check_size(const char *kind, size_t len, struct err *e);

/* At most `max` bytes of text without bad UTF-8 and without control characters other than
 * newline and tab (all of them, when `one_line`). */
char *text_clean(struct arena *a, const char *text, size_t len, size_t max, bool one_line);

#endif
