/* store_suite.c - the conformance suite: one caller at a time. */
#include "check.h"
#include "store_suite.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "store/event.h"

#include <sys/wait.h>

/* ---- fixtures ---- */

static const char *const states[] = { "open", "active", "done", NULL };
static const struct field item_fields[] = {
    FIELD(struct item, owner, FIELD_TEXT, .indexed = true, .max = 100),
    FIELD(struct item, state, FIELD_ENUM, .indexed = true, .choices = states),
    FIELD(struct item, weight, FIELD_INT, .indexed = true, .min = 0, .max = 1000000),
    FIELD(struct item, urgent, FIELD_BOOL, .indexed = true),
    FIELD(struct item, title, FIELD_TEXT, .searched = true),
    FIELD(struct item, text, FIELD_TEXT, .searched = true),
    FIELD(struct item, tags, FIELD_TEXTS),
};
static const struct record item_record = RECORD("item", struct item, item_fields);
const struct doc_type item_type = { "item", &item_record };

/* One that the home is not opened with. */
static const struct doc_type stranger_type = { "stranger", &item_record };

static const struct field counter_fields[] = { FIELD(struct counter, value, FIELD_INT) };
static const struct record counter_record = RECORD("counter", struct counter, counter_fields);
const struct doc_type counter_type = { "counter", &counter_record };

const struct doc_type *const suite_types[2] = { &item_type, &counter_type };

const struct store_engine *suite_engine; /* the one under test */

void fixture_open(struct fixture *f)
{
    check_ok(store_open_on(&f->store, suite_engine, f->home, true, suite_types, 2, &f->err), &f->err);
}

void fixture_close(struct fixture *f)
{
    store_free(f->store);
    f->store = NULL;
}

struct fixture *fixture_new(void)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    f->dir = tmpdir_make();
    snprintf(f->home, sizeof f->home, "%s/made/home", f->dir.path);
    fixture_open(f);
    return f;
}

void fixture_free(struct fixture *f)
{
    fixture_close(f);
    arena_release(&f->arena);
    tmpdir_remove(&f->dir);
    free(f);
}

int64_t suite_event(struct fixture *f, const char *kind, const char *ticket)
{
    int64_t seq = 0;
    struct batch *b = batch_new();
    batch_event(b, &(struct event){ .project = "units", .ticket = ticket, .actor = "engine", .kind = kind });
    check_ok(store_commit(f->store, b, &seq, &f->err), &f->err);
    batch_free(b);
    return seq;
}

int64_t suite_insert(struct fixture *f, const char *id, const struct item *item)
{
    int64_t seq = 0;
    struct batch *b = batch_new();
    batch_insert(b, &item_type, id, item);
    check_ok(store_commit(f->store, b, &seq, &f->err), &f->err);
    batch_free(b);
    return seq;
}

static void add_fault(const char *text, void *ctx)
{
    str_add(ctx, text);
    str_add_char(ctx, '\n');
}

static const char *faults_of(struct fixture *f, struct store *s)
{
    STR_LOCAL(text);
    int64_t events;
    check_ok(store_verify(s, add_fault, &text, &events, &f->err), &f->err);
    return arena_strndup(&f->arena, text.data, text.len);
}

const char *suite_faults(struct fixture *f)
{
    return faults_of(f, f->store);
}

const char *suite_faults_beside(struct fixture *f)
{
    struct store *reader;
    check_ok(store_open_on(&reader, suite_engine, f->home, false, suite_types, 2, &f->err), &f->err);
    const char *faults = faults_of(f, reader);
    store_free(reader);
    return faults;
}

int suite_set_up(void **state)
{
    *state = fixture_new();
    return 0;
}

int suite_tear_down(void **state)
{
    fixture_free(*state);
    clock_wall_set(-1);
    return 0;
}

static void item_is(struct fixture *f, const char *id, int64_t version, const char *owner)
{
    struct item got;
    int64_t got_version;
    check_ok(store_get(f->store, &f->arena, &item_type, id, &got, &got_version, &f->err), &f->err);
    assert_int_equal(got_version, version);
    assert_string_equal(got.owner, owner);
}

/* ---- committing ---- */

static void a_batch_is_read_back_whole(void **state)
{
    struct fixture *f = *state;
    const char *tags[] = { "a", "b" };
    struct item item = { .owner = "ada", .state = ITEM_ACTIVE, .weight = 7, .urgent = true, .title = "T", .tags = { tags, 2 } };
    json_t *payload = json_keep(&f->arena, json_pack("{s:s,s:i}", "test", "x", "count", 2));
    struct batch *b = batch_new();
    struct digest blob = batch_blob(b, "hello", 5);
    batch_insert(b, &item_type, "P/T-1", &item);
    batch_event(b, &(struct event){ .project = "P", .ticket = "T-1", .actor = "tester", .on_behalf = "Ada \"L\"\n\x01é",
                                    .kind = "red.witnessed", .payload_json = payload });
    int64_t seq;
    check_ok(store_commit(f->store, b, &seq, &f->err), &f->err);
    batch_free(b);
    assert_int_equal(seq, 1);
    assert_int_equal(store_last_seq(f->store), 1);

    struct item got;
    check_ok(store_get(f->store, &f->arena, &item_type, "P/T-1", &got, NULL, &f->err), &f->err);
    assert_int_equal(got.state, ITEM_ACTIVE);
    assert_int_equal(got.weight, 7);
    assert_true(got.urgent);
    assert_string_equal(got.tags.items[1], "b");

    struct event ev;
    check_ok(store_event(f->store, &f->arena, 1, &ev, &f->err), &f->err);
    assert_string_equal(ev.project, "P");
    assert_string_equal(ev.ticket, "T-1");
    assert_string_equal(ev.actor, "tester");
    assert_string_equal(ev.on_behalf, "Ada \"L\"\n\x01é");
    assert_string_equal(ev.kind, "red.witnessed");
    assert_string_equal(ev.prev, event_no_hash);
    assert_int_equal(strlen(ev.hash), DIGEST_HEX_LEN);

    const char *bytes;
    size_t len;
    check_ok(store_blob(f->store, &f->arena, ev.payload, &bytes, &len, &f->err), &f->err);
    assert_string_equal(bytes, "{\"count\":2,\"test\":\"x\"}");
    check_ok(store_blob(f->store, &f->arena, blob.hex, &bytes, &len, &f->err), &f->err);
    assert_int_equal(len, 5);
    assert_memory_equal(bytes, "hello", 5);
}

static void events_chain_over_batches(void **state)
{
    struct fixture *f = *state;
    struct batch *b = batch_new();
    for (int i = 0; i < 3; i++)
        batch_event(b, &(struct event){ .kind = "step" });
    int64_t seq;
    check_ok(store_commit(f->store, b, &seq, &f->err), &f->err);
    batch_free(b);
    assert_int_equal(seq, 3);
    assert_int_equal(suite_event(f, "more", "T-1"), 4);
    struct event *events;
    size_t count;
    check_ok(store_events(f->store, &f->arena, 0, NULL, NULL, NULL, 0, &events, &count, &f->err), &f->err);
    assert_int_equal(count, 4);
    for (size_t i = 1; i < count; i++) {
        assert_int_equal(events[i].seq, events[i - 1].seq + 1);
        assert_string_equal(events[i].prev, events[i - 1].hash);
        assert_true(events[i].time_ms >= events[i - 1].time_ms);
    }
}

static void event_bytes_are_canonical_json(void **state)
{
    struct fixture *f = *state;
    STR_LOCAL(bytes);
    STR_LOCAL(again);
    struct event ev = { .seq = 7, .time_ms = 1767225600000, .project = "p\"\\/", .ticket = "\t\b\f\r\x1f\x7f",
                        .actor = "é😀", .kind = "k", .prev = event_no_hash, .payload = "" };
    struct event_doc docs[] = { { "item", "T-1", 2, event_no_hash }, { "item", "T-2", 9, "" } };
    event_write(&bytes, &ev, docs, 2);
    json_t *value;
    check_ok(json_parse(&f->arena, bytes.data, bytes.len, &value, &f->err), &f->err);
    json_write(&again, value);
    assert_string_equal(bytes.data, again.data);
    struct event got;
    struct event_docs got_docs;
    check_ok(event_read(&f->arena, bytes.data, bytes.len, &got, &got_docs, &f->err), &f->err);
    assert_string_equal(got.project, ev.project);
    assert_string_equal(got.ticket, ev.ticket);
    assert_string_equal(got.actor, ev.actor);
    assert_int_equal(got.time_ms, ev.time_ms);
    assert_int_equal(got_docs.count, 2);
    assert_string_equal(got_docs.items[1].id, "T-2");
    assert_int_equal(got_docs.items[1].version, 9);
    for (size_t len = 0; len < bytes.len; len++) /* no part of an event is one */
        check_err(event_read(&f->arena, bytes.data, len, &got, NULL, &f->err), ERR_CORRUPT, &f->err, "not an event");
    check_err(event_read(&f->arena, "{\"actor\":\"\\u0000", 15, &got, NULL, &f->err), ERR_CORRUPT, &f->err, "not");
}

static void versions_count_from_one(void **state)
{
    struct fixture *f = *state;
    struct item item = { .owner = "ada" };
    suite_insert(f, "T-1", &item);
    item_is(f, "T-1", 1, "ada");
    struct batch *b = batch_new();
    item.owner = "bob";
    batch_update(b, &item_type, "T-1", 1, &item);
    item.owner = "cyd";
    batch_update(b, &item_type, "T-1", 2, &item); /* in the same batch */
    batch_insert(b, &item_type, "T-2", &item);
    batch_delete(b, &item_type, "T-2", 1);
    check_ok(store_commit(f->store, b, NULL, &f->err), &f->err);
    item_is(f, "T-1", 3, "cyd");
    check_err(store_get(f->store, &f->arena, &item_type, "T-2", &item, NULL, &f->err), ERR_NOT_FOUND, &f->err, "T-2");
    batch_delete(b, &item_type, "T-1", 3);
    check_ok(store_commit(f->store, b, NULL, &f->err), &f->err);
    check_err(store_get(f->store, &f->arena, &item_type, "T-1", &item, NULL, &f->err), ERR_NOT_FOUND, &f->err, "T-1");
    batch_free(b);
    assert_string_equal(suite_faults(f), "");
}

static void a_conflict_writes_nothing_at_all(void **state)
{
    struct fixture *f = *state;
    struct item item = { .owner = "ada" };
    suite_insert(f, "T-1", &item);
    struct batch *b = batch_new();
    for (int i = 0; i < 4; i++) {
        item.owner = "mallory";
        batch_insert(b, &item_type, "T-9", &item);
        struct digest blob = batch_blob(b, "secret", 6);
        batch_event(b, &(struct event){ .kind = "never" });
        if (i == 0)
            batch_insert(b, &item_type, "T-1", &item);
        else if (i == 1)
            batch_update(b, &item_type, "T-1", 2, &item);
        else if (i == 2)
            batch_delete(b, &item_type, "T-1", 7);
        else
            batch_update(b, &item_type, "T-8", 1, &item);
        int64_t seq = 99;
        static const char *const words[] = { "item T-1 exists", "has version 1, not 2", "has version 1, not 7", "T-8 does not exist" };
        check_err(store_commit(f->store, b, &seq, &f->err), ERR_CONFLICT, &f->err, words[i]);
        assert_int_equal(seq, 99);
        const char *bytes;
        size_t len;
        check_err(store_blob(f->store, &f->arena, blob.hex, &bytes, &len, &f->err), ERR_NOT_FOUND, &f->err, blob.hex);
        check_err(store_get(f->store, &f->arena, &item_type, "T-9", &item, NULL, &f->err), ERR_NOT_FOUND, &f->err, "T-9");
    }
    item_is(f, "T-1", 1, "ada");
    assert_int_equal(store_last_seq(f->store), 1);
    check_ok(store_commit(f->store, b, NULL, &f->err), &f->err); /* it was emptied */
    assert_int_equal(store_last_seq(f->store), 1);
    batch_free(b);
    assert_string_equal(suite_faults(f), "");
}

static void documents_without_an_event_are_logged_all_the_same(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(suite_insert(f, "T-1", &(struct item){ .owner = "ada" }), 1);
    struct event ev;
    check_ok(store_event(f->store, &f->arena, 1, &ev, &f->err), &f->err);
    assert_string_equal(ev.kind, "documents.written");
    assert_string_equal(ev.actor, "engine");
}

static void blobs_alone_make_no_event(void **state)
{
    struct fixture *f = *state;
    struct batch *b = batch_new();
    batch_blob(b, "x", 1);
    int64_t seq = 5;
    check_ok(store_commit(f->store, b, &seq, &f->err), &f->err);
    batch_free(b);
    assert_int_equal(seq, 0);
    assert_int_equal(store_last_seq(f->store), 0);
}

/* ---- what a batch refuses ---- */

static void refuses(struct fixture *f, struct batch *b, int code, const char *words)
{
    batch_event(b, &(struct event){ .kind = "never" });
    check_err(store_commit(f->store, b, NULL, &f->err), code, &f->err, words);
    assert_int_equal(store_last_seq(f->store), 0);
}

static void mistakes_in_a_batch_are_reported_by_its_commit(void **state)
{
    struct fixture *f = *state;
    struct batch *b = batch_new();
    struct item good = { .owner = "ada" }, heavy = { .weight = 1000001 };
    char long_text[1200];
    memset(long_text, 'x', sizeof long_text);
    long_text[201] = '\0';
    batch_insert(b, &item_type, "", &good);
    refuses(f, b, ERR_INVALID, "cannot be the id of a item");
    batch_insert(b, &item_type, "T 1", &good);
    refuses(f, b, ERR_INVALID, "\"T 1\" cannot be");
    batch_insert(b, &item_type, "T\xc3-1", &good);
    refuses(f, b, ERR_INVALID, "cannot be the id of a item");
    batch_insert(b, &item_type, long_text, &good);
    refuses(f, b, ERR_INVALID, "1 to 200");
    batch_insert(b, &item_type, "T-1", &heavy);
    batch_insert(b, &item_type, "", &good); /* the first mistake is told */
    refuses(f, b, ERR_INVALID, "item T-1 cannot be stored: weight is 1000001");
    batch_insert(b, &stranger_type, "T-1", &good);
    refuses(f, b, ERR_INVALID, "stranger were not declared");
    batch_event(b, &(struct event){ .kind = "" });
    refuses(f, b, ERR_INVALID, "no kind");
    memset(long_text, 'x', 1100);
    long_text[1100] = '\0';
    batch_event(b, &(struct event){ .kind = "k", .ticket = long_text });
    refuses(f, b, ERR_INVALID, "ticket of an event");
    batch_event(b, &(struct event){ .kind = "k", .actor = "\xff" });
    refuses(f, b, ERR_INVALID, "actor of an event must be UTF-8");
    batch_event(b, &(struct event){ .kind = "k", .payload_json = json_keep(&f->arena, json_array()) });
    refuses(f, b, ERR_INVALID, "not a JSON object");
    for (int i = 0; i <= STORE_MAX_BATCH; i++)
        batch_event(b, &(struct event){ .kind = "k" });
    refuses(f, b, ERR_LIMIT, "at most 10000");
    static char large[STORE_MAX_BLOB + 1];
    batch_blob(b, large, sizeof large);
    refuses(f, b, ERR_LIMIT, "too large");
    check_err(store_get(f->store, &f->arena, &stranger_type, "T-1", &good, NULL, &f->err), ERR_INVALID, &f->err, "stranger");
    batch_free(b);
}

/* ---- the log ---- */

static void events_are_filtered_and_limited(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++)
        suite_event(f, i % 2 ? "odd" : "even", i < 5 ? "T-1" : "T-2");
    static const struct { int64_t after; const char *project, *ticket, *kind; size_t limit; size_t count; int64_t first; } wanted[] = {
        { 0, NULL, NULL, NULL, 0, 10, 1 }, { 3, NULL, NULL, NULL, 4, 4, 4 }, { 0, "units", "T-2", NULL, 0, 5, 6 },
        { 0, NULL, NULL, "odd", 0, 5, 2 }, { 4, "units", "T-2", "odd", 0, 3, 6 }, { 0, "other", NULL, NULL, 0, 0, 0 },
        { 10, NULL, NULL, NULL, 0, 0, 0 }, { 0, "units", NULL, "even", 2, 2, 1 },
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        struct event *events;
        size_t count;
        check_ok(store_events(f->store, &f->arena, wanted[i].after, wanted[i].project, wanted[i].ticket, wanted[i].kind,
                              wanted[i].limit, &events, &count, &f->err), &f->err);
        assert_int_equal(count, wanted[i].count);
        if (count)
            assert_int_equal(events[0].seq, wanted[i].first);
    }
    struct event ev;
    check_err(store_event(f->store, &f->arena, 11, &ev, &f->err), ERR_NOT_FOUND, &f->err, "no event 11");
    check_err(store_event(f->store, &f->arena, 0, &ev, &f->err), ERR_NOT_FOUND, &f->err, "no event 0");
}

static void a_clock_that_jumps_back_does_not_turn_history_round(void **state)
{
    struct fixture *f = *state;
    struct event ev;
    clock_wall_set(4102444800000); /* 2100 */
    suite_event(f, "late", "");
    clock_wall_set(1000);
    suite_event(f, "early", "");
    check_ok(store_event(f->store, &f->arena, 2, &ev, &f->err), &f->err);
    assert_int_equal(ev.time_ms, 4102444800000);
    fixture_close(f);
    fixture_open(f);
    clock_wall_set(2000);
    suite_event(f, "after opening again", "");
    check_ok(store_event(f->store, &f->arena, 3, &ev, &f->err), &f->err);
    assert_int_equal(ev.time_ms, 4102444800000);
    assert_string_equal(suite_faults(f), "");
}

static void everything_is_there_after_opening_again(void **state)
{
    struct fixture *f = *state;
    suite_insert_twenty(f);
    for (int i = 0; i < 100; i++)
        suite_event(f, "step", "T-1");
    struct digest d = suite_put(f, NULL, "kept", 4);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(store_last_seq(f->store), 101);
    item_is(f, "T-07", 1, "bob");
    suite_blob_is(f, d, "kept", 4);
    assert_int_equal(suite_event(f, "on", ""), 102);
    assert_string_equal(suite_faults(f), "");
}

/* ---- descriptions that change ---- */

struct wider {
    const char *owner;
    int state;
    int64_t weight;
    const char *urgent; /* no longer indexed, and another type */
    const char *title, *text;
    int64_t rank;
    struct texts tags;
};
static const struct field wider_fields[] = {
    FIELD(struct wider, owner, FIELD_TEXT, .indexed = true, .searched = true),
    FIELD(struct wider, state, FIELD_ENUM, .choices = states),
    FIELD(struct wider, weight, FIELD_INT),
    FIELD(struct wider, title, FIELD_TEXT, .indexed = true),
    FIELD(struct wider, text, FIELD_TEXT),
    FIELD(struct wider, rank, FIELD_INT, .indexed = true, .min = 3, .max = 9),
    FIELD(struct wider, tags, FIELD_TEXTS),
};
static const struct record wider_record = RECORD("item", struct wider, wider_fields);
static const struct doc_type wider_type = { "item", &wider_record };

static void a_description_that_changes_takes_its_documents_along(void **state)
{
    struct fixture *f = *state;
    static const struct doc_type *const types[] = { &wider_type };
    struct store_found r;
    struct batch *b = batch_new();
    for (int i = 0; i < 5; i++)
        batch_insert(b, &item_type, arena_printf(&f->arena, "T-%d", i),
                     &(struct item){ .owner = i % 2 ? "ada" : "bob", .title = i == 3 ? "three" : "some" });
    check_ok(store_commit(f->store, b, NULL, &f->err), &f->err);
    fixture_close(f);

    check_ok(store_open_on(&f->store, suite_engine, f->home, true, types, 1, &f->err), &f->err);
    struct store_query q = { .where = { { .field = "title", .text = "three" }, { .field = "rank", .number = 3 } }, .where_count = 2 };
    int64_t count;
    check_ok(store_count(f->store, &wider_type, &q, &count, &f->err), &f->err);
    assert_int_equal(count, 1);
    q.where[0].field = "state";
    check_err(store_count(f->store, &wider_type, &q, &count, &f->err), ERR_INVALID, &f->err, "state");
    store_free(f->store);
    fixture_open(f); /* and back again */
    struct store_query open = { .where = { { .field = "state", .text = "open" } }, .where_count = 1 };
    check_ok(store_find(f->store, &f->arena, &item_type, &open, &r, &f->err), &f->err);
    assert_int_equal(r.count, 5);
    check_ok(store_search(f->store, &f->arena, &item_type, "three", 10, &r, &f->err), &f->err);
    assert_int_equal(r.count, 1);
    batch_free(b);
    assert_string_equal(suite_faults(f), "");
}

static void a_change_of_description_that_was_cut_short_is_made_again(void **state)
{
    struct fixture *f = *state;
    static const struct doc_type *const types[] = { &wider_type };
#ifndef TANDEM_FAILPOINTS
    skip();
#endif
    suite_insert_twenty(f);
    fixture_close(f);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("TANDEM_FAILPOINT", "store.migrating", 1);
        store_open_on(&f->store, suite_engine, f->home, true, types, 1, &f->err);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    fixture_open(f); /* as it was before */
    assert_string_equal(suite_faults(f), "");
    fixture_close(f);
    check_ok(store_open_on(&f->store, suite_engine, f->home, true, types, 1, &f->err), &f->err);
    struct store_query q = { .where = { { .field = "rank", .number = 3 } }, .where_count = 1 };
    int64_t count;
    check_ok(store_count(f->store, &wider_type, &q, &count, &f->err), &f->err);
    assert_int_equal(count, 20);
}

static void a_reader_that_knows_more_than_the_home_says_so(void **state)
{
    struct fixture *f = *state;
    static const struct doc_type *const types[] = { &wider_type, &stranger_type };
    struct store *reader;
    int64_t count;
    check_ok(store_open_on(&reader, suite_engine, f->home, false, types, 2, &f->err), &f->err);
    check_err(store_count(reader, &stranger_type, NULL, &count, &f->err), ERR_INVALID, &f->err, "another version of Tandem");
    struct store_query q = { .where = { { .field = "rank", .number = 3 } }, .where_count = 1 };
    check_err(store_count(reader, &wider_type, &q, &count, &f->err), ERR_INVALID, &f->err, "another version of Tandem");
    store_free(reader);
}

static void tell_fault(const char *text, void *ctx)
{
    (void)ctx;
    fail_msg("%s", text);
}

static void a_home_older_than_a_type_verifies_all_the_same(void **state)
{
    struct fixture *f = *state;
    const struct doc_type *const types[] = { suite_types[0], suite_types[1], &stranger_type };
    struct store *reader;
    int64_t events;
    check_ok(store_open_on(&reader, suite_engine, f->home, false, types, 3, &f->err), &f->err);
    check_ok(store_verify(reader, tell_fault, NULL, &events, &f->err), &f->err);
    store_free(reader);
}

static void descriptions_that_cannot_be_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct doc_type bad_name = { "item; DROP", &item_record };
    static const struct field tag_fields[] = { FIELD(struct item, tags, FIELD_TEXTS, .indexed = true) };
    static const struct record tag_record = RECORD("tag", struct item, tag_fields);
    static const struct doc_type bad_field = { "tag", &tag_record };
    const struct doc_type *types[1] = { &bad_name };
    struct store *s = NULL;
    fixture_close(f);
    check_err(store_open_on(&s, suite_engine, f->home, true, types, 1, &f->err), ERR_INVALID, &f->err, "item; DROP");
    types[0] = &bad_field;
    check_err(store_open_on(&s, suite_engine, f->home, true, types, 1, &f->err), ERR_INVALID, &f->err, "tag.tags");
    assert_null(s);
    fixture_open(f);
}

void suite_add(struct suite *s, const struct CMUnitTest *tests, size_t count)
{
    assert_true(s->count + count <= sizeof s->tests / sizeof *s->tests);
    memcpy(s->tests + s->count, tests, count * sizeof *tests);
    s->count += count;
}

int suite_run(struct suite *s)
{
    /* What cmocka_run_group_tests is short for, with a length known at run time. */
    return _cmocka_run_group_tests(suite_engine->name, s->tests, s->count, NULL, NULL);
}

void store_suite(struct suite *s, const struct store_engine *engine)
{
    suite_engine = engine;
    const struct CMUnitTest tests[] = {
        IN_A_HOME(a_batch_is_read_back_whole),
        IN_A_HOME(events_chain_over_batches),
        IN_A_HOME(event_bytes_are_canonical_json),
        IN_A_HOME(versions_count_from_one),
        IN_A_HOME(a_conflict_writes_nothing_at_all),
        IN_A_HOME(documents_without_an_event_are_logged_all_the_same),
        IN_A_HOME(blobs_alone_make_no_event),
        IN_A_HOME(mistakes_in_a_batch_are_reported_by_its_commit),
        IN_A_HOME(events_are_filtered_and_limited),
        IN_A_HOME(a_clock_that_jumps_back_does_not_turn_history_round),
        IN_A_HOME(everything_is_there_after_opening_again),
        IN_A_HOME(a_description_that_changes_takes_its_documents_along),
        IN_A_HOME(a_change_of_description_that_was_cut_short_is_made_again),
        IN_A_HOME(a_reader_that_knows_more_than_the_home_says_so),
        IN_A_HOME(a_home_older_than_a_type_verifies_all_the_same),
        IN_A_HOME(descriptions_that_cannot_be_are_refused),
    };
    SUITE_ADD(s, tests);
    store_suite_blob(s);
    store_suite_find(s);
    store_suite_together(s);
}
