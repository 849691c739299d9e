/* store_suite_blob.c - the conformance suite: large bytes. */
#include "check.h"
#include "store_suite.h"

#include "base/alloc.h"
#include "store/event.h"

void suite_blob_is(struct fixture *f, struct digest d, const void *bytes, size_t len)
{
    ARENA_LOCAL(a);
    const char *got;
    size_t got_len;
    check_ok(store_blob(f->store, &a, d.hex, &got, &got_len, &f->err), &f->err);
    assert_int_equal(got_len, len);
    assert_memory_equal(got, bytes, len);
    assert_int_equal(got[len], 0);
}

struct digest suite_put(struct fixture *f, const struct digest *prefix, const char *bytes, size_t len)
{
    struct batch *b = batch_new();
    struct digest d = prefix ? batch_blob_after(b, prefix, bytes, len) : batch_blob(b, bytes, len);
    check_ok(store_commit(f->store, b, NULL, &f->err), &f->err);
    batch_free(b);
    assert_string_equal(d.hex, digest_of(bytes, len).hex);
    return d;
}

static void blobs_of_any_size_come_back(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 3000000 };
    char *bytes = xmalloc(3000000);
    for (size_t i = 0; i < 3000000; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct digest d = suite_put(f, NULL, bytes, sizes[i]);
        suite_blob_is(f, suite_put(f, NULL, bytes, sizes[i]), bytes, sizes[i]); /* again is no error */
        suite_blob_is(f, d, bytes, sizes[i]);
    }
    free(bytes);
    assert_string_equal(suite_faults(f), "");
}

static void a_conversation_of_prefixes_comes_back(void **state)
{
    struct fixture *f = *state;
    enum { TURNS = 100, TURN = 50 };
    static char bytes[TURNS * TURN];
    struct digest d[TURNS];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)('a' + i % 23);
    for (size_t i = 0; i < TURNS; i++)
        d[i] = suite_put(f, i ? &d[i - 1] : NULL, bytes, (i + 1) * TURN);
    for (size_t i = 0; i < TURNS; i++)
        suite_blob_is(f, d[i], bytes, (i + 1) * TURN);
    assert_string_equal(suite_faults(f), "");
}

static void a_prefix_may_be_in_the_same_batch_absent_or_wrong(void **state)
{
    struct fixture *f = *state;
    struct batch *b = batch_new();
    struct digest one = batch_blob(b, "one", 3);
    struct digest two = batch_blob_after(b, &one, "one two", 7);
    struct digest three = batch_blob_after(b, &two, "one two three", 13);
    struct digest other = batch_blob_after(b, &two, "something else", 14);
    struct digest absent = digest_of("never stored", 12);
    struct digest orphan = batch_blob_after(b, &absent, "never stored at all", 19);
    struct digest same = batch_blob_after(b, &one, "one", 3);
    check_ok(store_commit(f->store, b, NULL, &f->err), &f->err);
    batch_free(b);
    suite_blob_is(f, two, "one two", 7);
    suite_blob_is(f, three, "one two three", 13);
    suite_blob_is(f, other, "something else", 14);
    suite_blob_is(f, orphan, "never stored at all", 19);
    suite_blob_is(f, same, "one", 3);
}

static void erased_bytes_are_gone_and_the_log_says_so(void **state)
{
    struct fixture *f = *state;
    struct digest one = suite_put(f, NULL, "one", 3);
    struct digest two = suite_put(f, &one, "one two", 7);
    struct digest three = suite_put(f, &two, "one two three", 13);
    check_ok(store_erase_blob(f->store, two.hex, "ada", "asked to", &f->err), &f->err);
    const char *bytes;
    size_t len;
    check_err(store_blob(f->store, &f->arena, two.hex, &bytes, &len, &f->err), ERR_NOT_FOUND, &f->err, "erased");
    suite_blob_is(f, one, "one", 3);
    suite_blob_is(f, three, "one two three", 13);
    struct event ev;
    check_ok(store_event(f->store, &f->arena, 1, &ev, &f->err), &f->err);
    assert_string_equal(ev.kind, "blob.erased");
    assert_string_equal(ev.actor, "ada");
    check_err(store_erase_blob(f->store, two.hex, "ada", "", &f->err), ERR_NOT_FOUND, &f->err, "erased");
    check_err(store_erase_blob(f->store, event_no_hash, "ada", "", &f->err), ERR_NOT_FOUND, &f->err, "no blob");
    assert_int_equal(store_last_seq(f->store), 1);
    assert_string_equal(suite_faults(f), "");
    struct digest after = suite_put(f, &two, "one two four", 12); /* an erased prefix */
    suite_blob_is(f, after, "one two four", 12);
    suite_blob_is(f, suite_put(f, &one, "one two", 7), "one two", 7); /* stored again */
    assert_string_equal(suite_faults(f), "");
}

void store_suite_blob(struct suite *s)
{
    const struct CMUnitTest tests[] = {
        IN_A_HOME(blobs_of_any_size_come_back),
        IN_A_HOME(a_conversation_of_prefixes_comes_back),
        IN_A_HOME(a_prefix_may_be_in_the_same_batch_absent_or_wrong),
        IN_A_HOME(erased_bytes_are_gone_and_the_log_says_so),
    };
    SUITE_ADD(s, tests);
}
