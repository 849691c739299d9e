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
struct fixture *fixture_new(void);
void fixture_free(struct fixture *f);
void fixture_close(struct fixture *f);
void fixture_open(struct fixture *f);

/* Commits one event / one new item, failing the test when that does not work. */
int64_t suite_event(struct fixture *f, const char *kind, const char *ticket);
int64_t suite_insert(struct fixture *f, const char *id, const struct item *item);

/* Commits a blob, which begins with `prefix` unless that is NULL; checks one. */
struct digest suite_put(struct fixture *f, const struct digest *prefix, const char *bytes, size_t len);
void suite_blob_is(struct fixture *f, struct digest d, const void *bytes, size_t len);

/* The sentences of store_verify, one a line, in the fixture's arena; "" when all holds. */
const char *suite_faults(struct fixture *f);
/* The same, of the home opened without its lock. */
const char *suite_faults_beside(struct fixture *f);

/* T-00 .. T-19: owner ada, bob, cyd by turns; states by fours; weight 0, 10, .. in pairs. */
void suite_insert_twenty(struct fixture *f);

/* The tests of one program: TAP wants all of them in one group. */
struct suite {
    struct CMUnitTest tests[100];
    size_t count;
};
void suite_add(struct suite *s, const struct CMUnitTest *tests, size_t count);
#define SUITE_ADD(s, array) suite_add((s), (array), sizeof(array) / sizeof *(array))
/* Returns the number of tests that failed. */
int suite_run(struct suite *s);

/* Adds what `engine` must pass, and makes fixtures use it. */
void store_suite(struct suite *s, const struct store_engine *engine);

/* Parts of it: blobs; finding documents; threads and processes together. */
void store_suite_blob(struct suite *s);
void store_suite_find(struct suite *s);
void store_suite_together(struct suite *s);
extern const struct store_engine *suite_engine; /* the one under test */

/* A test that gets a fixture as its state. */
int suite_set_up(void **state);
int suite_tear_down(void **state);
#define IN_A_HOME(test) cmocka_unit_test_setup_teardown(test, suite_set_up, suite_tear_down)

#endif
