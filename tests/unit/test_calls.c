/* The calls of models: read from runs and events alike, and what they come to. */
#include "check.h"
#include "scratch.h"

#include "base/json.h"
#include "cli/calls.h"
#include "team/docs.h"

struct fixture {
    struct scratch room;
    struct store *store;
    struct arena arena;
    struct err e;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){ 0 };
    scratch_make(&f.room);
    check_ok(store_open(&f.store, scratch_path(&f.room, "home"), team_doc_types, team_doc_type_count, &f.e), &f.e);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    arena_release(&f->arena);
    scratch_remove(&f->room);
    return 0;
}

static void put_run(struct fixture *f, const char *id, struct run run)
{
    struct batch *b = batch_new();
    run.project = "units";
    run.ticket = "T-1";
    run.step = "red-1";
    run.prompt = run.answer = run.reasoning = run.results = "";
    run.of = run.task = "";
    run.outcome = run.outcome ? run.outcome : "answered";
    run.verdict = run.verdict ? run.verdict : "";
    batch_insert(b, &run_type, id, &run);
    check_ok(store_commit(f->store, b, NULL, &f->e), &f->e);
    batch_free(b);
}

static void put_event(struct fixture *f, const char *kind, const char *actor, const char *payload)
{
    struct batch *b = batch_new();
    json_t *value;
    check_ok(json_parse(&f->arena, payload, strlen(payload), &value, &f->e), &f->e);
    batch_event(b, &(struct event){ .project = "units", .actor = actor, .kind = kind, .payload_json = value });
    check_ok(store_commit(f->store, b, NULL, &f->e), &f->e);
    batch_free(b);
}

static void put_some(struct fixture *f)
{
    put_run(f, "a", (struct run){ .role = "tester", .model = "small", .started_ms = 1000, .prompt_tokens = 100, .cached_tokens = -1, .completion_tokens = 10,
                                  .verdict = "no file in it" });
    put_run(f, "b", (struct run){ .role = "developer", .model = "small", .started_ms = 2000, .prompt_tokens = 200, .cached_tokens = 150,
                                  .completion_tokens = 20, .verdict = "satisfied" });
    put_run(f, "c", (struct run){ .role = "developer", .model = "big", .version = 2, .escalation = 1, .started_ms = 3000, .prompt_tokens = 100,
                                  .cached_tokens = 0, .completion_tokens = 20, .outcome = "cut: length" });
    put_run(f, "d", (struct run){ .role = "engine", .model = "make", .kind = RUN_SUITE, .started_ms = 3000 });
    put_event(f, "model.asked", "gateway", "{\"path\": \"/v1/chat/completions\", \"asked\": \"developer\", \"model\": \"small\", \"version\": 1, "
              "\"status\": 200, \"prompt_tokens\": 300, \"cached_tokens\": 300, \"completion_tokens\": 5}");
    put_event(f, "model.failed", "architect", "{\"model\": \"big\", \"step\": \"plan\", \"why\": \"it is gone\"}");
}

static struct calls read_calls(struct fixture *f, struct calls_wish w)
{
    struct calls c;
    check_ok(calls_read(f->store, &f->arena, &w, &c, &f->e), &f->e);
    return c;
}

static void calls_of_all_kinds_are_found_in_their_order(void **state)
{
    struct fixture *f = *state;
    put_some(f);
    struct calls c = read_calls(f, (struct calls_wish){ 0 });
    assert_int_equal(c.count, 5);
    assert_string_equal(c.items[0].outcome, "no file in it");
    assert_string_equal(c.items[1].about, "units/T-1 red-1");
    assert_int_equal(c.items[2].escalation, 1);
    assert_int_equal(c.items[2].version, 2);
    assert_string_equal(c.items[3].role, "developer");
    assert_string_equal(c.items[3].about, "gateway /v1/chat/completions");
    assert_string_equal(c.items[4].outcome, "failed: it is gone");
}

static void calls_that_came_together_are_told_apart(void **state)
{
    struct fixture *f = *state;
    put_event(f, "model.asked", "gateway", "{\"calls\": [{\"path\": \"/v1/completions\", \"asked\": \"small\", \"model\": \"small\", \"status\": 200, "
              "\"at_ms\": 5000}, {\"path\": \"/v1/embeddings\", \"key\": \"ann\", \"asked\": \"tester\", \"model\": \"big\", \"status\": 429, \"at_ms\": 6000}]}");
    struct calls c = read_calls(f, (struct calls_wish){ 0 });
    assert_int_equal(c.count, 2);
    assert_string_equal(c.items[0].about, "gateway /v1/completions");
    assert_int_equal(c.items[0].time_ms, 5000);
    assert_string_equal(c.items[1].about, "ann /v1/embeddings");
    assert_string_equal(c.items[1].outcome, "failed: status 429");
    assert_int_equal(read_calls(f, (struct calls_wish){ .since_ms = 5500 }).count, 1);
}

static void they_are_chosen_by_model_role_and_time(void **state)
{
    struct fixture *f = *state;
    put_some(f);
    assert_int_equal(read_calls(f, (struct calls_wish){ .model = "big" }).count, 2);
    assert_int_equal(read_calls(f, (struct calls_wish){ .role = "developer" }).count, 3);
    assert_int_equal(read_calls(f, (struct calls_wish){ .role = "developer", .since_ms = 2500 }).count, 2);
    assert_int_equal(read_calls(f, (struct calls_wish){ .since_ms = 4000 }).count, 2);
    assert_int_equal(read_calls(f, (struct calls_wish){ .since_ms = INT64_MAX }).count, 0);
}

static void sums_count_hits_only_where_the_server_tells(void **state)
{
    struct fixture *f = *state;
    put_some(f);
    struct calls c = read_calls(f, (struct calls_wish){ 0 });
    struct calls_sum *sums;
    assert_int_equal(calls_sum(&f->arena, &c, &sums), 4);
    assert_string_equal(sums[0].role, "tester");
    assert_int_equal(hit_percent(sums[0].cached_tokens, sums[0].told_tokens), -1);
    assert_int_equal(sums[0].refused, 1);
    assert_string_equal(sums[1].role, "developer");
    assert_int_equal(sums[1].calls, 3);
    assert_int_equal(sums[1].satisfied, 1);
    assert_int_equal(sums[1].refused, 1);
    assert_int_equal(sums[1].escalated, 1);
    assert_int_equal(hit_percent(sums[1].cached_tokens, sums[1].told_tokens), 75);
    assert_string_equal(sums[3].role, "all");
    assert_int_equal(sums[3].failed, 1);
    assert_int_equal(sums[3].prompt_tokens, 700);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(calls_of_all_kinds_are_found_in_their_order),
        TEST(calls_that_came_together_are_told_apart),
        TEST(they_are_chosen_by_model_role_and_time),
        TEST(sums_count_hits_only_where_the_server_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
