/* store_suite.h - what every engine of the store must do.
 *
 * Include check.h first.  A test program calls store_suite_run for its engine and then adds
 * what is particular to it.
 */
#ifndef TANDEM_TEST_STORE_SUITE_H
#define TANDEM_TEST_STORE_SUITE_H

#include "base/arena.h"
#include "base/str.h"
#include "store/engine.h"
#include "tmpdir.h"

/* A document with a field of each kind that can be found by, and two that are searched. */
struct item {
    const char *owner;
    int state;
    int64_t weight;
    bool urgent;
    const char *title, *text;
    struct texts tags;
};
enum { ITEM_OPEN, ITEM_ACTIVE, ITEM_DONE };
extern const struct doc_type item_type;

struct counter {
    int64_t value;
};
extern const struct doc_type counter_type;

extern const struct doc_type *const suite_types[2];

/* A home in a directory of its own, open for writing. */
struct fixture {
    struct tmpdir dir;
    char home[300];
    struct store *store;
    struct arena arena;
    struct err err;
};
struct fixture *fixture_new(const struct store_engine *engine);
void fixture_free(struct fixture *f);
void fixture_close(struct fixture *f);
void fixture_open(struct fixture *f);

/* Commits one event / one new item, failing the test when that does not work. */
int64_t suite_event(struct fixture *f, const char *kind, const char *ticket);
int64_t suite_insert(struct fixture *f, const char *id, const struct item *item);

/* The sentences of store_verify, one a line, in the fixture's arena; "" when all holds. */
const char *suite_faults(struct fixture *f);
/* The same, of the home opened without its lock. */
const char *suite_faults_beside(struct fixture *f);

/* Runs the suite; returns the number of tests that failed. */
int store_suite_run(const struct store_engine *engine);
/* More of it, where threads and processes meet (store_suite_together.c). */
int store_suite_together_run(const struct store_engine *engine);

#endif
