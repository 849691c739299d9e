/* store_suite_together.c - the conformance suite: threads and processes together.
 *
 * Tests that fork do so before they start threads, and their children only leave by _exit.
 */
#include "check.h"
#include "store_suite.h"


#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

/* ---- many threads ---- */

enum { THREADS = 40, ROUNDS = 10, COUNTERS = 3 };

struct worker {
    pthread_t thread;
    struct store *store;
    int number;
    int64_t conflicts;
    char fault[1100]; /* "" when all went well: assertions belong to the main thread */
};

static void run_workers(struct fixture *f, struct worker *w, size_t count, void *(*body)(void *))
{
    for (size_t i = 0; i < count; i++) {
        w[i] = (struct worker){ .store = f->store, .number = (int)i };
        assert_int_equal(pthread_create(&w[i].thread, NULL, body, &w[i]), 0);
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(w[i].thread, NULL);
        assert_string_equal(w[i].fault, "");
    }
}

static bool failed(struct worker *w, int code, const struct err *e)
{
    if (code < 0 && !w->fault[0])
        snprintf(w->fault, sizeof w->fault, "%s: %s", err_name(code), e->text);
    return code < 0;
}

/* Adds 1 to a shared counter, reading again after each conflict. */
static void increment(struct worker *w, struct batch *b, const char *id)
{
    for (int attempt = 0; attempt < 100000; attempt++) {
        ARENA_LOCAL(a);
        struct err e;
        struct counter c;
        int64_t version;
        if (failed(w, store_get(w->store, &a, &counter_type, id, &c, &version, &e), &e))
            return;
        c.value++;
        batch_update(b, &counter_type, id, version, &c);
        batch_event(b, &(struct event){ .project = "P", .ticket = id, .actor = "worker", .kind = "incremented" });
        int code = store_commit(w->store, b, NULL, &e);
        if (code != ERR_CONFLICT) {
            failed(w, code, &e);
            return;
        }
        w->conflicts++;
    }
}

static void *count_up(void *ctx)
{
    struct worker *w = ctx;
    struct batch *b = batch_new();
    char id[16];
    for (int i = 0; i < ROUNDS && !w->fault[0]; i++) {
        snprintf(id, sizeof id, "C-%d", (w->number + i) % COUNTERS);
        increment(w, b, id);
    }
    batch_free(b);
    return NULL;
}

static void forty_threads_lose_no_update(void **state)
{
    struct fixture *f = *state;
    static struct worker w[THREADS];
    struct batch *b = batch_new();
    for (int i = 0; i < COUNTERS; i++)
        batch_insert(b, &counter_type, arena_printf(&f->arena, "C-%d", i), &(struct counter){ 0 });
    check_ok(store_commit(f->store, b, NULL, &f->err), &f->err);
    batch_free(b);
    run_workers(f, w, THREADS, count_up);
    int64_t total = 0;
    struct store_found r;
    check_ok(store_find(f->store, &f->arena, &counter_type, NULL, &r, &f->err), &f->err);
    for (size_t i = 0; i < r.count; i++) {
        int64_t value = ((struct counter *)r.docs)[i].value;
        assert_int_equal(r.versions[i], value + 1);
        total += value;
    }
    assert_int_equal(total, THREADS * ROUNDS);
    assert_int_equal(store_last_seq(f->store), THREADS * ROUNDS + 1);
    assert_string_equal(suite_faults(f), "");
}

/* Even workers insert what is new; odd ones insert what all odd ones insert. */
static void *insert_or_collide(void *ctx)
{
    struct worker *w = ctx;
    struct batch *b = batch_new();
    char id[32];
    for (int i = 0; i < ROUNDS && !w->fault[0]; i++) {
        struct err e;
        if (w->number % 2)
            snprintf(id, sizeof id, "same-%d", i);
        else
            snprintf(id, sizeof id, "own-%d-%d", w->number, i);
        batch_insert(b, &counter_type, id, &(struct counter){ i });
        int code = store_commit(w->store, b, NULL, &e);
        if (code == ERR_CONFLICT && w->number % 2)
            w->conflicts++;
        else
            failed(w, code, &e);
    }
    batch_free(b);
    return NULL;
}

static void a_conflict_never_fails_those_committed_with_it(void **state)
{
    struct fixture *f = *state;
    static struct worker w[THREADS];
    run_workers(f, w, THREADS, insert_or_collide);
    int64_t conflicts = 0, count;
    for (int i = 0; i < THREADS; i++)
        conflicts += w[i].conflicts;
    assert_int_equal(conflicts, (THREADS / 2 - 1) * ROUNDS);
    check_ok(store_count(f->store, &counter_type, NULL, &count, &f->err), &f->err);
    assert_int_equal(count, (THREADS / 2 + 1) * ROUNDS);
    assert_int_equal(store_last_seq(f->store), count);
    assert_string_equal(suite_faults(f), "");
}

/* Moves weight between two items in one batch; half of the workers check the sum instead. */
static void *move_or_look(void *ctx)
{
    struct worker *w = ctx;
    struct batch *b = batch_new();
    for (int i = 0; i < 4 * ROUNDS && !w->fault[0]; i++) {
        ARENA_LOCAL(a);
        struct err e;
        struct store_found r;
        if (failed(w, store_find(w->store, &a, &item_type, &(struct store_query){ .order_by = "weight" }, &r, &e), &e))
            break;
        struct item *items = r.docs;
        if (r.count != 2 || items[0].weight + items[1].weight != 1000)
            snprintf(w->fault, sizeof w->fault, "half a batch was visible");
        items[0].weight++;
        items[1].weight--;
        if (w->number % 4)
            continue;
        batch_update(b, &item_type, r.ids[0], r.versions[0], &items[0]);
        batch_update(b, &item_type, r.ids[1], r.versions[1], &items[1]);
        int code = store_commit(w->store, b, NULL, &e);
        if (code != ERR_CONFLICT)
            failed(w, code, &e);
    }
    batch_free(b);
    return NULL;
}

static void readers_see_whole_batches_only(void **state)
{
    struct fixture *f = *state;
    static struct worker w[12];
    suite_insert(f, "A", &(struct item){ .weight = 0 });
    suite_insert(f, "B", &(struct item){ .weight = 1000 });
    run_workers(f, w, 12, move_or_look);
    assert_string_equal(suite_faults(f), "");
}

/* ---- following ---- */

struct follower {
    struct store *store;
    int64_t after, seen, until;
    bool in_order;
    int code;
    struct err err;
};

static bool follow_event(const struct event *ev, void *ctx)
{
    struct follower *t = ctx;
    t->in_order = t->in_order && ev->seq == t->after + t->seen + 1;
    t->seen++;
    return ev->seq != t->until;
}

static void *follow(void *ctx)
{
    struct follower *t = ctx;
    t->in_order = true;
    t->code = store_tail(t->store, t->after, follow_event, t, &t->err);
    return NULL;
}

static void followed(struct fixture *f, struct store *s)
{
    struct follower t = { .store = s, .after = 5, .until = 600 };
    pthread_t thread;
    for (int i = 0; i < 300; i++) /* more than one page of what is there already */
        suite_event(f, "before", "");
    assert_int_equal(pthread_create(&thread, NULL, follow, &t), 0);
    for (int i = 0; i < 300; i++)
        suite_event(f, "meanwhile", "");
    pthread_join(thread, NULL);
    check_ok(t.code, &t.err);
    assert_true(t.in_order);
    assert_int_equal(t.seen, 595);
}

static void a_follower_skips_nothing(void **state)
{
    struct fixture *f = *state;
    followed(f, f->store);
}

static void a_follower_beside_the_writer_skips_nothing(void **state)
{
    struct fixture *f = *state;
    struct store *reader;
    check_ok(store_open_on(&reader, suite_engine, f->home, false, suite_types, 2, &f->err), &f->err);
    followed(f, reader);
    store_free(reader);
}

static void woken(struct store *s)
{
    struct follower t = { .store = s };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, follow, &t), 0);
    usleep(20000);
    store_wake(s);
    pthread_join(thread, NULL);
    check_ok(t.code, &t.err);
    store_wake(s); /* nobody follows: the next one is told */
    follow(&t);
    assert_int_equal(t.seen, 0);
}

static void a_waiting_follower_can_be_woken(void **state)
{
    struct fixture *f = *state;
    struct store *reader;
    woken(f->store);
    check_ok(store_open_on(&reader, suite_engine, f->home, false, suite_types, 2, &f->err), &f->err);
    woken(reader);
    store_free(reader);
}

/* ---- two processes ---- */

static void a_second_opener_is_told_who_holds_the_home(void **state)
{
    struct fixture *f = *state;
    struct store *second = NULL;
    check_err(store_open_on(&second, suite_engine, f->home, true, suite_types, 2, &f->err), ERR_BUSY, &f->err,
              arena_printf(&f->arena, "%ld", (long)getpid()));
    assert_null(second);
    suite_event(f, "still works", "");
}

static void a_reader_sees_commits_and_cannot_write(void **state)
{
    struct fixture *f = *state;
    struct store *reader;
    suite_event(f, "one", "");
    check_ok(store_open_on(&reader, suite_engine, f->home, false, suite_types, 2, &f->err), &f->err);
    assert_int_equal(store_last_seq(reader), 1);
    suite_insert(f, "T-1", &(struct item){ .owner = "ada" });
    assert_int_equal(store_last_seq(reader), 2);
    struct item got;
    check_ok(store_get(reader, &f->arena, &item_type, "T-1", &got, NULL, &f->err), &f->err);
    struct batch *b = batch_new();
    batch_event(b, &(struct event){ .kind = "never" });
    check_err(store_commit(reader, b, NULL, &f->err), ERR_READONLY, &f->err, "reading only");
    check_err(store_erase_blob(reader, "", "", "", &f->err), ERR_READONLY, &f->err, "reading only");
    batch_free(b);
    fixture_close(f); /* the writer goes, the reader stays */
    check_ok(store_get(reader, &f->arena, &item_type, "T-1", &got, NULL, &f->err), &f->err);
    fixture_open(f);
    suite_event(f, "three", "");
    assert_int_equal(store_last_seq(reader), 3);
    store_free(reader);
}

static void a_reader_needs_a_home(void **state)
{
    struct fixture *f = *state;
    struct store *reader = NULL;
    check_err(store_open_on(&reader, suite_engine, arena_printf(&f->arena, "%s/nothing", f->dir.path), false, suite_types, 2,
                            &f->err), ERR_NOT_FOUND, &f->err, "no home");
    assert_null(reader);
}

/* ---- killed at any point ---- */

/* In a child: commits counters K-<n> with an event each until it dies, telling each number
 * once it is acknowledged. */
static _Noreturn void commit_until_killed(const char *home, const char *failpoint, int told)
{
    struct store *s;
    struct err e;
    setenv("TANDEM_FAILPOINT", failpoint, 1);
    if (store_open_on(&s, suite_engine, home, true, suite_types, 2, &e) < 0)
        _exit(2);
    struct batch *b = batch_new();
    char id[32];
    for (int i = (int)store_last_seq(s); i < 200; i++) {
        snprintf(id, sizeof id, "K-%d", i);
        batch_insert(b, &counter_type, id, &(struct counter){ i });
        batch_event(b, &(struct event){ .kind = "kept", .ticket = id });
        if (store_commit(s, b, NULL, &e) < 0)
            _exit(3);
        if (write(told, &i, sizeof i) != sizeof i)
            _exit(4);
    }
    _exit(0);
}

/* Runs such a child; returns the last number it told, -1 for none. */
static int kill_at(struct fixture *f, const char *failpoint)
{
    int told[2], last = -1, status, i;
    assert_int_equal(pipe(told), 0);
    fixture_close(f);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        commit_until_killed(f->home, failpoint, told[1]);
    close(told[1]);
    while (read(told[0], &i, sizeof i) == sizeof i)
        last = i;
    close(told[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("%s: the child was not killed (status %d)", failpoint, status);
    fixture_open(f);
    return last;
}

static void nothing_acknowledged_is_lost_when_killed(void **state)
{
    struct fixture *f = *state;
    static const char *const failpoints[] = { "store.locked", "store.committing", "store.committing:2", "store.committing:7",
                                              "store.committed", "store.committed:5", "store.locked" };
#ifndef TANDEM_FAILPOINTS
    skip();
#endif
    int acknowledged = -1;
    for (size_t i = 0; i < sizeof failpoints / sizeof *failpoints; i++) {
        int last = kill_at(f, failpoints[i]);
        if (last >= 0)
            acknowledged = last;
        int64_t events = store_last_seq(f->store), count;
        check_ok(store_count(f->store, &counter_type, NULL, &count, &f->err), &f->err);
        assert_int_equal(count, events); /* both or neither */
        assert_true(events > acknowledged && events <= acknowledged + 2);
        assert_string_equal(suite_faults(f), "");
    }
    assert_true(acknowledged > 10);
}

static void a_home_whose_making_was_cut_short_is_made_again(void **state)
{
    struct fixture *f = *state;
#ifndef TANDEM_FAILPOINTS
    skip();
#endif
    struct tmpdir fresh = tmpdir_make();
    struct store *reader;
    char home[300];
    snprintf(home, sizeof home, "%s", f->home);
    snprintf(f->home, sizeof f->home, "%s", fresh.path);
    fixture_close(f);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        commit_until_killed(f->home, "store.migrating", -1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    check_err(store_open_on(&reader, suite_engine, f->home, false, suite_types, 2, &f->err), ERR_NOT_FOUND, &f->err, "home");
    fixture_open(f);
    assert_int_equal(suite_event(f, "works", ""), 1);
    assert_string_equal(suite_faults(f), "");
    fixture_close(f);
    tmpdir_remove(&fresh);
    snprintf(f->home, sizeof f->home, "%s", home);
    fixture_open(f);
}

void store_suite_together(struct suite *s)
{
    const struct CMUnitTest tests[] = {
        IN_A_HOME(nothing_acknowledged_is_lost_when_killed),
        IN_A_HOME(a_home_whose_making_was_cut_short_is_made_again),
        IN_A_HOME(a_second_opener_is_told_who_holds_the_home),
        IN_A_HOME(a_reader_sees_commits_and_cannot_write),
        IN_A_HOME(a_reader_needs_a_home),
        IN_A_HOME(forty_threads_lose_no_update),
        IN_A_HOME(a_conflict_never_fails_those_committed_with_it),
        IN_A_HOME(readers_see_whole_batches_only),
        IN_A_HOME(a_follower_skips_nothing),
        IN_A_HOME(a_follower_beside_the_writer_skips_nothing),
        IN_A_HOME(a_waiting_follower_can_be_woken),
    };
    SUITE_ADD(s, tests);
}
