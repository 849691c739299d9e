/* Default routes: tables of models as people have them, and who should do what. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "model/exam.h"
#include "model/propose.h"

enum { MOST = 8 };

struct having {
    struct model_entry models[MOST];
    struct backend_entry backends[2];
    struct route_entry routes[MOST];
    struct exam_card cards[MOST];
    struct registry r;
    struct arena arena;
    struct proposal p;
};

static struct model_entry model(const char *id, int64_t millions)
{
    return (struct model_entry){ .id = id, .backend = "", .name = "", .file = "", .architecture = "", .parameters = millions * 1000000, .slots = 2 };
}

static void have(struct having *h, size_t count)
{
    h->backends[0] = (struct backend_entry){ .id = "llama-server", .kind = BACKEND_LLAMA_SERVER };
    h->backends[1] = (struct backend_entry){ .id = "box", .kind = BACKEND_OPENAI };
    h->r.backends = (struct records){ h->backends, 2 };
    h->r.models = (struct records){ h->models, count };
}

static void propose(struct having *h)
{
    routes_propose(&h->arena, &h->r, &h->p);
}

/* "developer coder heavy" with "-" for no fallback; "": no such route. */
static void check_route(const struct having *h, const char *role, const char *wanted)
{
    char is[300] = "";
    for (size_t i = 0; i < h->p.count; i++)
        if (streq(h->p.routes[i].id, role))
            snprintf(is, sizeof is, "%s %s", h->p.routes[i].primary, *h->p.routes[i].fallback ? h->p.routes[i].fallback : "-");
    if (!streq(is, wanted))
        fail_msg("%s: %s, not %s", role, is, wanted);
}

static void check_team(const struct having *h, const char *coder, const char *pm, const char *architect)
{
    check_route(h, "developer", coder);
    check_route(h, "tester", coder);
    check_route(h, "pm", pm);
    check_route(h, "resource-director", pm);
    check_route(h, "architect", architect);
}

/* The registry that was wished for at the beginning. */
static void the_three_models_of_the_wish_go_where_they_belong(void **state)
{
    (void)state;
    struct having h = { .models = { model("codellama-7b", 6738), model("reasonlite", 3800), model("llama-4-scout", 109000) } };
    have(&h, 3);
    propose(&h);
    check_team(&h, "codellama-7b llama-4-scout", "reasonlite llama-4-scout", "llama-4-scout -");
    check_route(&h, "embedding", "");
    assert_non_null(h.p.heavy);
    assert_string_equal(h.p.heavy->id, "llama-4-scout");
    assert_int_equal(h.p.heavy->slots, 1);
    assert_int_equal(h.p.heavy->idle_s, 120);
    arena_release(&h.arena);
}

static void one_model_does_everything_and_is_left_as_it_is(void **state)
{
    (void)state;
    struct having h = { .models = { model("qwen2.5-coder-7b", 7600) } };
    have(&h, 1);
    propose(&h);
    check_team(&h, "qwen2.5-coder-7b -", "qwen2.5-coder-7b -", "qwen2.5-coder-7b -");
    assert_null(h.p.heavy);
    arena_release(&h.arena);
}

static void without_a_model_for_code_the_largest_that_is_quick_writes_it(void **state)
{
    (void)state;
    struct having h = { .models = { model("gemma-2b", 2500), model("mistral-7b", 7200), model("llama-70b", 70000) } };
    have(&h, 3);
    propose(&h);
    check_team(&h, "mistral-7b llama-70b", "mistral-7b llama-70b", "llama-70b -");
    arena_release(&h.arena);
}

static void two_models_share_the_work(void **state)
{
    (void)state;
    struct having h = { .models = { model("deepseek-coder-6.7b", 6700), model("deepseek-r1-70b", 70000) } };
    have(&h, 2);
    propose(&h);
    check_team(&h, "deepseek-coder-6.7b deepseek-r1-70b", "deepseek-coder-6.7b deepseek-r1-70b", "deepseek-r1-70b -");
    arena_release(&h.arena);
}

static void a_model_for_vectors_serves_nothing_else(void **state)
{
    (void)state;
    struct having h = { .models = { model("nomic-embed-text", 137), model("codellama-7b", 6700) } };
    have(&h, 2);
    propose(&h);
    check_team(&h, "codellama-7b -", "codellama-7b -", "codellama-7b -");
    check_route(&h, "embedding", "nomic-embed-text -");
    struct having alone = { .models = { model("bge-m3", 560) } };
    have(&alone, 1);
    propose(&alone);
    assert_int_equal(alone.p.count, 1);
    check_route(&alone, "embedding", "bge-m3 -");
    arena_release(&h.arena);
    arena_release(&alone.arena);
}

static void without_models_nothing_is_proposed(void **state)
{
    (void)state;
    struct having h = { .arena = ARENA_INIT };
    have(&h, 0);
    propose(&h);
    assert_int_equal(h.p.count, 0);
    assert_null(h.p.heavy);
    arena_release(&h.arena);
}

static void what_an_exam_has_shown_counts_more_than_a_name(void **state)
{
    (void)state;
    struct having h = { .models = { model("codellama-7b", 6700), model("granite-8b", 8000) } };
    have(&h, 2);
    h.cards[0] = (struct exam_card){ .model = "codellama-7b", .files = 20, .schema = 50, .usable_context = 4096, .steady = 100 };
    h.cards[1] = (struct exam_card){ .model = "granite-8b", .files = 90, .schema = 95, .usable_context = 16384, .steady = 100 };
    h.r.exams = (struct records){ h.cards, 2 };
    propose(&h);
    check_route(&h, "developer", "granite-8b -");
    assert_string_equal(h.p.reasons[0], "the heaviest, 8.0 B, its exam is good enough");
    h.r.exams = (struct records){ h.cards, 1 }; /* not examined is better than fallen short */
    propose(&h);
    check_route(&h, "developer", "granite-8b -");
    h.r.exams = (struct records){ NULL, 0 };
    propose(&h);
    check_route(&h, "developer", "codellama-7b granite-8b");
    assert_string_equal(h.p.reasons[0], "made for code, 6.7 B, not examined");
    arena_release(&h.arena);
}

static void routes_of_a_person_stay(void **state)
{
    (void)state;
    struct having h = { .models = { model("codellama-7b", 6700), model("llama-70b", 70000) },
                        .routes = { { .id = "developer", .primary = "llama-70b", .fallback = "" } } };
    have(&h, 2);
    h.r.routes = (struct records){ h.routes, 1 };
    propose(&h);
    check_route(&h, "developer", "");
    check_route(&h, "tester", "codellama-7b llama-70b");
    arena_release(&h.arena);
}

static void a_heavy_model_is_tamed_only_where_it_is_ours_and_not_pinned(void **state)
{
    (void)state;
    struct having h = { .models = { model("codellama-7b", 6700), model("llama-70b", 70000) } };
    have(&h, 2);
    h.models[1].backend = "box";
    propose(&h);
    assert_null(h.p.heavy);
    h.models[1].backend = "";
    h.models[1].pinned = true;
    propose(&h);
    assert_null(h.p.heavy);
    h.models[1].pinned = false;
    h.models[1].idle_s = 600;
    propose(&h);
    assert_int_equal(h.p.heavy->idle_s, 600);
    arena_release(&h.arena);
}

static void sizes_are_told_by_entry_name_or_file(void **state)
{
    (void)state;
    static const struct { const char *name; int64_t millions; } rows[] = {
        { "qwen2.5-coder-7b", 7000 }, { "Qwen2.5-Coder-1.5B-Instruct", 1500 }, { "Mixtral-8x7B", 56000 }, { "SmolLM2-135M-Instruct.Q4_1", 135 },
        { "qwen2.5-coder:7b", 7000 }, { "phi-4", 0 }, { "llama3", 0 }, { "gpt-4bit", 0 }, { "", 0 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct model_entry m = model("x", 0);
        m.name = rows[i].name;
        if (model_parameters(&m) != rows[i].millions * 1000000)
            fail_msg("%s: %lld", rows[i].name, (long long)model_parameters(&m));
    }
    struct model_entry m = model("x", 0);
    m.bytes = 600;
    assert_int_equal(model_parameters(&m), 1000);
}

static void names_hint_at_what_a_model_is_for(void **state)
{
    (void)state;
    static const struct { const char *id; unsigned hints; } rows[] = {
        { "codellama-7b", MODEL_FOR_CODE }, { "Qwen2.5-Coder", MODEL_FOR_CODE }, { "starcoder2", MODEL_FOR_CODE }, { "codestral", MODEL_FOR_CODE },
        { "deepseek-r1-7b", MODEL_REASONS }, { "QwQ-32B", MODEL_REASONS }, { "phi-4", MODEL_REASONS }, { "r10-chat", 0 }, { "mistral-7b", 0 },
        { "nomic-embed-text", MODEL_FOR_VECTORS }, { "bge-m3", MODEL_FOR_VECTORS }, { "bgentle", 0 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct model_entry m = model(rows[i].id, 0);
        if (model_hints(&m) != rows[i].hints)
            fail_msg("%s: %u", rows[i].id, model_hints(&m));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_models_of_the_wish_go_where_they_belong),
        cmocka_unit_test(one_model_does_everything_and_is_left_as_it_is),
        cmocka_unit_test(without_a_model_for_code_the_largest_that_is_quick_writes_it),
        cmocka_unit_test(two_models_share_the_work),
        cmocka_unit_test(a_model_for_vectors_serves_nothing_else),
        cmocka_unit_test(without_models_nothing_is_proposed),
        cmocka_unit_test(what_an_exam_has_shown_counts_more_than_a_name),
        cmocka_unit_test(routes_of_a_person_stay),
        cmocka_unit_test(a_heavy_model_is_tamed_only_where_it_is_ours_and_not_pinned),
        cmocka_unit_test(sizes_are_told_by_entry_name_or_file),
        cmocka_unit_test(names_hint_at_what_a_model_is_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
