/* store_suite_find.c - the conformance suite: finding and searching documents. */
#include "check.h"
#include "store_suite.h"

/* ---- queries ---- */

void suite_insert_twenty(struct fixture *f)
{
    static const char *const owners[] = { "ada", "bob", "cyd" };
    struct batch *b = batch_new();
    for (int i = 0; i < 20; i++) {
        char id[8];
        snprintf(id, sizeof id, "T-%02d", i);
        batch_insert(b, &item_type, id, &(struct item){ .owner = owners[i % 3], .state = i / 4 % 3,
                                                        .weight = i / 2 * 10, .urgent = i % 5 == 0 });
    }
    check_ok(store_commit(f->store, b, NULL, &f->err), &f->err);
    batch_free(b);
}

static const char *found(struct fixture *f, const struct store_query *q)
{
    struct store_found r;
    STR_LOCAL(ids);
    check_ok(store_find(f->store, &f->arena, &item_type, q, &r, &f->err), &f->err);
    for (size_t i = 0; i < r.count; i++)
        str_addf(&ids, "%s%s", i ? " " : "", r.ids[i] + 2);
    int64_t count;
    check_ok(store_count(f->store, &item_type, q, &count, &f->err), &f->err);
    if (!q || (!q->limit && !q->after_id))
        assert_int_equal(count, r.count);
    return arena_strndup(&f->arena, ids.data, ids.len);
}

static void queries_select_by_every_kind_of_field(void **state)
{
    struct fixture *f = *state;
    suite_insert_twenty(f);
    assert_string_equal(found(f, NULL), "00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19");
    assert_string_equal(found(f, &(struct store_query){ .where = { { .field = "owner", .text = "bob" } }, .where_count = 1 }),
                        "01 04 07 10 13 16 19");
    assert_string_equal(found(f, &(struct store_query){ .where = { { .field = "state", .text = "done" } }, .where_count = 1 }),
                        "08 09 10 11");
    assert_string_equal(found(f, &(struct store_query){ .where = { { .field = "urgent", .number = 1 } }, .where_count = 1 }),
                        "00 05 10 15");
    assert_string_equal(found(f, &(struct store_query){ .where = { { .field = "weight", .number = 30 } }, .where_count = 1 }), "06 07");
    assert_string_equal(found(f, &(struct store_query){ .where = { { .field = "owner", .text = "bob" }, { .field = "urgent", .number = 1 } },
                                                        .where_count = 2 }), "10");
    assert_string_equal(found(f, &(struct store_query){ .range_field = "weight", .range_from = 20, .range_to = 30 }), "04 05 06 07");
    assert_string_equal(found(f, &(struct store_query){ .where = { { .field = "owner", .text = "nobody" } }, .where_count = 1 }), "");
    assert_string_equal(found(f, &(struct store_query){ .where = { { .field = "owner", .text = "' OR 1=1 --" } }, .where_count = 1 }), "");
}

static void queries_order_limit_and_continue(void **state)
{
    struct fixture *f = *state;
    suite_insert_twenty(f);
    assert_string_equal(found(f, &(struct store_query){ .order_by = "owner", .limit = 9 }), "00 03 06 09 12 15 18 01 04");
    assert_string_equal(found(f, &(struct store_query){ .order_by = "owner", .limit = 3, .after_id = "T-18" }), "01 04 07");
    assert_string_equal(found(f, &(struct store_query){ .order_by = "weight", .descending = true, .limit = 5 }), "19 18 17 16 15");
    assert_string_equal(found(f, &(struct store_query){ .descending = true, .limit = 2, .after_id = "T-03" }), "02 01");
    assert_string_equal(found(f, &(struct store_query){ .after_id = "T-16x" }), "17 18 19"); /* an id that never was */
    assert_string_equal(found(f, &(struct store_query){ .where = { { .field = "owner", .text = "cyd" } }, .where_count = 1,
                                                        .range_field = "weight", .range_from = 10, .range_to = 80,
                                                        .order_by = "urgent", .descending = true, .limit = 3 }), "05 17 14");
    check_err(store_find(f->store, &f->arena, &item_type,
                         &(struct store_query){ .order_by = "owner", .after_id = "T-99" },
                         &(struct store_found){ 0 }, &f->err), ERR_NOT_FOUND, &f->err, "T-99");
}

static void pages_of_a_query_neither_skip_nor_repeat(void **state)
{
    struct fixture *f = *state;
    suite_insert_twenty(f);
    static const char *const orders[] = { NULL, "owner", "state", "weight", "urgent" };
    for (int i = 0; i < 10; i++) {
        struct store_query q = { .order_by = orders[i / 2], .descending = i % 2 };
        const char *whole = found(f, &q);
        STR_LOCAL(pages);
        q.limit = 3;
        for (;;) {
            const char *page = found(f, &q);
            if (!*page)
                break;
            str_addf(&pages, "%s%s", pages.len ? " " : "", page);
            q.after_id = arena_printf(&f->arena, "T-%s", page + strlen(page) - 2);
        }
        assert_string_equal(pages.data, whole);
    }
}

static void queries_follow_updates_and_deletions(void **state)
{
    struct fixture *f = *state;
    suite_insert_twenty(f);
    struct batch *b = batch_new();
    batch_update(b, &item_type, "T-00", 1, &(struct item){ .owner = "dora", .weight = 5 });
    batch_delete(b, &item_type, "T-03", 1);
    check_ok(store_commit(f->store, b, NULL, &f->err), &f->err);
    batch_free(b);
    assert_string_equal(found(f, &(struct store_query){ .where = { { .field = "owner", .text = "dora" } }, .where_count = 1 }), "00");
    assert_string_equal(found(f, &(struct store_query){ .where = { { .field = "owner", .text = "ada" } }, .where_count = 1 }),
                        "06 09 12 15 18");
    assert_string_equal(suite_faults(f), "");
}

/* "00:ada@1 01:bob@1": what is found, whose it is, in which version. */
static const char *found_again(struct fixture *f, struct store_kept *k, const struct store_query *q, struct store_found *ret)
{
    STR_LOCAL(text);
    check_ok(store_find_again(f->store, k, &item_type, q, ret, &f->err), &f->err);
    for (size_t i = 0; i < ret->count; i++)
        str_addf(&text, "%s%s:%s@%d", i ? " " : "", ret->ids[i] + 2, ((struct item *)ret->docs)[i].owner, (int)ret->versions[i]);
    return arena_strndup(&f->arena, text.data, text.len);
}

static void finding_again_reads_what_has_changed_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct store_kept *k = store_kept_new();
    struct store_query q = { .where = { { .field = "urgent", .number = 1 } }, .where_count = 1, .order_by = "weight" };
    struct store_found r;
    assert_string_equal(found_again(f, k, &q, &r), "");
    suite_insert_twenty(f);
    assert_string_equal(found_again(f, k, &q, &r), "00:ada@1 05:cyd@1 10:bob@1 15:ada@1");
    const char *of_05 = ((struct item *)r.docs)[1].owner, *of_15 = ((struct item *)r.docs)[3].owner;
    /* One changes and moves to the end, one is gone, one comes. */
    struct batch *b = batch_new();
    batch_update(b, &item_type, "T-00", 1, &(struct item){ .owner = "dora", .weight = 900, .urgent = true });
    batch_delete(b, &item_type, "T-10", 1);
    batch_insert(b, &item_type, "T-30", &(struct item){ .owner = "eve", .weight = 75, .urgent = true });
    check_ok(store_commit(f->store, b, NULL, &f->err), &f->err);
    assert_string_equal(found_again(f, k, &q, &r), "05:cyd@1 15:ada@1 30:eve@1 00:dora@2");
    assert_ptr_equal(((struct item *)r.docs)[0].owner, of_05);
    assert_ptr_equal(((struct item *)r.docs)[1].owner, of_15);
    /* Deleted and made again, it has its first version again, and is another. */
    batch_delete(b, &item_type, "T-15", 1);
    check_ok(store_commit(f->store, b, NULL, &f->err), &f->err);
    batch_insert(b, &item_type, "T-15", &(struct item){ .owner = "fay", .weight = 70, .urgent = true });
    check_ok(store_commit(f->store, b, NULL, &f->err), &f->err);
    batch_free(b);
    assert_string_equal(found_again(f, k, &q, &r), "05:cyd@1 15:fay@1 30:eve@1 00:dora@2");
    store_kept_free(k);
}

static void finding_again_recovers_from_an_error(void **state)
{
    struct fixture *f = *state;
    struct store_kept *k = store_kept_new();
    struct store_found r;
    suite_insert_twenty(f);
    struct store_query q = { .where = { { .field = "weight", .number = 30 } }, .where_count = 1 };
    assert_string_equal(found_again(f, k, &q, &r), "06:ada@1 07:bob@1");
    check_err(store_find_again(f->store, k, &item_type, &(struct store_query){ .order_by = "text" }, &r, &f->err), ERR_INVALID, &f->err,
              "text");
    assert_string_equal(found_again(f, k, &q, &r), "06:ada@1 07:bob@1");
    store_kept_free(k);
}

static void wrong_queries_say_why(void **state)
{
    struct fixture *f = *state;
    static const struct { struct store_query q; const char *words; } wrong[] = {
        { { .where = { { .field = "title", .text = "x" } }, .where_count = 1 }, "\"title\": it is not an indexed field" },
        { { .where = { { .field = "nothing", .text = "x" } }, .where_count = 1 }, "\"nothing\"" },
        { { .where = { { .field = "owner", .number = 1 } }, .where_count = 1 }, "item.owner is compared with a text" },
        { { .where = { { .field = "weight", .text = "1" } }, .where_count = 1 }, "item.weight is compared with a number" },
        { { .where = { { .field = "state", .text = "closed" } }, .where_count = 1 }, "item.state is never \"closed\"" },
        { { .where_count = 5 }, "at most 4 conditions" },
        { { .limit = STORE_MAX_LIMIT + 1 }, "10000 results" },
        { { .range_field = "owner" }, "item.owner has no range" },
        { { .range_field = "tags" }, "tags" },
        { { .order_by = "text" }, "text" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct store_found r = { .count = 77 };
        int64_t count = 77;
        check_err(store_find(f->store, &f->arena, &item_type, &wrong[i].q, &r, &f->err), ERR_INVALID, &f->err, wrong[i].words);
        check_err(store_count(f->store, &item_type, &wrong[i].q, &count, &f->err), ERR_INVALID, &f->err, wrong[i].words);
        assert_int_equal(r.count + (size_t)count, 154);
    }
}

/* ---- searching ---- */

static const char *searched(struct fixture *f, const char *text)
{
    struct store_found r;
    STR_LOCAL(ids);
    check_ok(store_search(f->store, &f->arena, &item_type, text, 10, &r, &f->err), &f->err);
    for (size_t i = 0; i < r.count; i++)
        str_addf(&ids, "%s%s", i ? " " : "", r.ids[i]);
    return arena_strndup(&f->arena, ids.data, ids.len);
}

static void search_finds_words_in_the_searched_fields(void **state)
{
    struct fixture *f = *state;
    suite_insert(f, "A", &(struct item){ .owner = "convert", .title = "Reject negative lengths", .text = "A length is never negative." });
    suite_insert(f, "B", &(struct item){ .title = "Read a file", .text = "Über den Zeilen: the lengths of lines in a long text about other things, and more of it." });
    suite_insert(f, "C", &(struct item){ .title = "Quit" });
    assert_string_equal(searched(f, "lengths"), "A B"); /* the shorter text first */
    assert_string_equal(searched(f, "NEGATIVE lengths"), "A");
    assert_string_equal(searched(f, "uber"), "B");
    assert_string_equal(searched(f, "convert"), ""); /* in a field that is not searched */
    assert_string_equal(searched(f, ""), "");
    assert_string_equal(searched(f, "  \n"), "");
    static const char *const odd[] = { "\"", "lengths\" OR \"quit", "a*", "NEAR(", "title:quit", "-", "^", "{", "(", "lengths AND" };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        searched(f, odd[i]); /* words, never syntax */
    assert_string_equal(searched(f, "lengths OR quit"), "");
    struct batch *b = batch_new();
    batch_update(b, &item_type, "C", 1, &(struct item){ .title = "Quit lengths" });
    batch_delete(b, &item_type, "A", 1);
    check_ok(store_commit(f->store, b, NULL, &f->err), &f->err);
    batch_free(b);
    assert_string_equal(searched(f, "lengths"), "C B");
    check_err(store_search(f->store, &f->arena, &counter_type, "x", 1, &(struct store_found){ 0 }, &f->err), ERR_INVALID, &f->err,
              "counter has no text");
}

void store_suite_find(struct suite *s)
{
    const struct CMUnitTest tests[] = {
        IN_A_HOME(queries_select_by_every_kind_of_field),
        IN_A_HOME(queries_order_limit_and_continue),
        IN_A_HOME(pages_of_a_query_neither_skip_nor_repeat),
        IN_A_HOME(queries_follow_updates_and_deletions),
        IN_A_HOME(finding_again_reads_what_has_changed_and_nothing_else),
        IN_A_HOME(finding_again_recovers_from_an_error),
        IN_A_HOME(wrong_queries_say_why),
        IN_A_HOME(search_finds_words_in_the_searched_fields),
    };
    SUITE_ADD(s, tests);
}
