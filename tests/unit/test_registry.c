/* The registry of models: what is refused, what is kept, and the file it comes from. */
#include "check.h"
#include "tmpdir.h"

#include "base/arena.h"
#include "base/str.h"
#include "model/exam.h"
#include "model/registry.h"

#define DIGEST "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct fixture {
    struct tmpdir dir;
    struct store *store;
    struct arena arena;
};

static int set_up(void **state)
{
    static struct fixture f;
    static const struct doc_type *const types[] = { &backend_type, &model_type, &route_type, &exam_type };
    struct err e;
    f = (struct fixture){ 0 };
    f.dir = tmpdir_make();
    check_ok(store_open(&f.store, f.dir.path, types, 4, &e), &e);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    arena_release(&f->arena);
    tmpdir_remove(&f->dir);
    return 0;
}

static int put(const struct registry *changes, void *ctx, struct err *e)
{
    struct fixture *f = ctx;
    return registry_put(f->store, changes, "Ada", e);
}

static int import(struct fixture *f, const char *yaml, struct err *e)
{
    return registry_import_yaml(f->store, "models.yaml", yaml, strlen(yaml), put, f, e);
}

static struct registry load(struct fixture *f)
{
    struct registry r;
    struct err e;
    check_ok(registry_load(f->store, &f->arena, &r, &e), &e);
    return r;
}

static const char *const good =
    "backends:\n"
    "- {id: gpu-box, kind: openai, url: 'http://10.0.0.3:8000/v1'}\n"
    "models:\n"
    "- {id: small, file: " DIGEST ", slots: 2, context: 8192, sampling: {top_p: 0.9}}\n"
    "- {id: heavy, backend: gpu-box, name: Qwen/Qwen2.5-72B, idle_s: 120, edit_format: blocks}\n"
    "routes:\n"
    "- {id: architect, primary: heavy}\n"
    "- {id: developer, primary: small, fallback: architect}\n";

static void a_file_is_taken_in_and_given_out_again(void **state)
{
    struct fixture *f = *state;
    struct err e;
    check_ok(import(f, good, &e), &e);
    struct registry r = load(f);
    assert_int_equal(r.backends.count, 2); /* llama-server is always there */
    assert_int_equal(registry_model(&r, "small")->slots, 2);
    assert_int_equal(registry_model(&r, "heavy")->slots, 1);
    assert_int_equal(registry_model(&r, "heavy")->edit_format, EDIT_BLOCKS);
    assert_true(json_real_value(json_object_get(registry_model(&r, "small")->sampling, "top_p")) > 0.89);
    assert_string_equal(registry_route(&r, "developer")->fallback, "architect");

    STR_LOCAL(yaml);
    registry_write_yaml(&r, &yaml);
    int64_t seq = store_last_seq(f->store);
    check_ok(registry_remove(f->store, REGISTRY_ROUTE, "developer", "Ada", &e), &e);
    check_ok(import(f, yaml.data, &e), &e);
    struct registry again = load(f);
    assert_string_equal(registry_route(&again, "developer")->fallback, "architect");
    assert_true(store_last_seq(f->store) > seq);
    seq = store_last_seq(f->store);
    check_ok(import(f, yaml.data, &e), &e); /* nothing new */
    assert_int_equal(store_last_seq(f->store), seq);
}

static void a_change_takes_the_place_of_the_entry_and_is_in_the_log(void **state)
{
    struct fixture *f = *state;
    struct err e;
    check_ok(import(f, good, &e), &e);
    int64_t seq = store_last_seq(f->store);
    check_ok(import(f, "models:\n- {id: small, file: " DIGEST ", slots: 4}\n", &e), &e);
    struct registry r = load(f);
    assert_int_equal(r.models.count, 2);
    assert_int_equal(registry_model(&r, "small")->slots, 4);
    struct event *events;
    size_t count;
    check_ok(store_events(f->store, &f->arena, seq, NULL, NULL, NULL, 0, &events, &count, &e), &e);
    assert_int_equal(count, 1);
    assert_string_equal(events[0].kind, "model.changed");
    assert_string_equal(events[0].actor, "Ada");
}

static void a_wrong_file_is_refused_with_its_line_and_what_is_allowed(void **state)
{
    struct fixture *f = *state;
    struct err e;
    static const struct { const char *yaml, *words; } wrong[] = {
        { "models:\n- {id: m, filee: x}\n", "models.yaml:2: models[0].filee" },
        { "models:\n- {id: m}\n", "models.yaml:2: models[0].file is missing; llama-server needs one: `tandem model import" },
        { "models:\n- {id: m, backend: nowhere}\n", "models.yaml:2: models[0].backend is \"nowhere\", and there is no such backend" },
        { "models:\n- {id: m, file: abc}\n", "a SHA-256 goes here" },
        { "models:\n- {id: developer, file: " DIGEST "}\n", "is \"developer\", which is a role" },
        { "models:\n- {id: ../m, file: " DIGEST "}\n", "allowed: a letter or digit, then" },
        { "models:\n- {id: m, file: " DIGEST "}\n- {id: m, file: " DIGEST "}\n", "models.yaml:3: models[1].id is \"m\", as that of another" },
        { "models:\n- {id: m, file: " DIGEST ", pinned: true, idle_s: 5}\n", "a pinned model is never evicted" },
        { "models:\n- {id: m, file: " DIGEST ", gpu_layers: most}\n", "allowed: a number, all, auto" },
        { "models:\n- {id: m, file: " DIGEST ", slots: 100}\n", "allowed is 1 to 64" },
        { "models:\n- {id: m, file: " DIGEST ", sampling: {tops: 1}}\n", "allowed: top_p, top_k" },
        { "models:\n- {id: m, file: " DIGEST ", edit_format: diff}\n", "allowed: files, blocks" },
        { "backends:\n- {id: b, kind: cloud}\n", "allowed: llama-server, openai, ollama, adapter" },
        { "backends:\n- {id: b, kind: ollama}\n", "models.yaml:2: backends[0].url is missing; ollama needs an address" },
        { "backends:\n- {id: b, kind: openai, url: \"http://ann:secret@h/v1\"}\n", "url has a user name or password in it" },
        { "backends:\n- {id: b, kind: openai, url: ftp://x}\n", "it begins with http://, https:// or unix:" },
        { "routes:\n- {id: developer, primary: none}\n", "models.yaml:2: routes[0].primary is \"none\", and there is no such model" },
        { "routes:\n- {id: boss, primary: none}\n", "roles are pm, architect, developer" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check_err(import(f, wrong[i].yaml, &e), ERR_INVALID, &e, wrong[i].words);
    assert_int_equal(store_last_seq(f->store), 0);
}

static void fallbacks_that_go_in_a_circle_are_refused(void **state)
{
    struct fixture *f = *state;
    struct err e;
    check_ok(import(f, good, &e), &e);
    check_err(import(f, "routes:\n- {id: architect, primary: heavy, fallback: developer}\n", &e), ERR_INVALID, &e,
              "goes round in a circle: architect -> developer -> architect");
    check_err(import(f, "routes:\n- {id: tester, primary: heavy, fallback: tester}\n", &e), ERR_INVALID, &e, "circle: tester -> tester");
    check_err(import(f, "routes:\n- {id: tester, primary: heavy, fallback: heavy}\n", &e), ERR_INVALID, &e, "as the primary");
}

static void more_models_than_can_be_run_are_refused(void **state)
{
    struct fixture *f = *state;
    struct err e;
    STR_LOCAL(text);
    check_ok(import(f, good, &e), &e);
    str_add(&text, "models:\n");
    for (int i = 0; i < REGISTRY_COPIES / 16; i++)
        str_addf(&text, "- {id: m%d, backend: gpu-box, replicas: 16}\n", i);
    check_err(import(f, text.data, &e), ERR_INVALID, &e, "models.yaml:1: models makes 130 models and replicas together; at most 128 can be had");
    struct registry r = load(f);
    assert_null(registry_model(&r, "m0"));
}

static void a_llama_server_does_one_thing(void **state)
{
    struct fixture *f = *state;
    struct err e;
    check_ok(import(f, good, &e), &e);
    check_err(import(f, "models:\n- {id: both, file: " DIGEST ", capabilities: [chat, embed]}\n", &e), ERR_INVALID, &e,
              "models.yaml:2: models[0].capabilities has chat and embed");
}

static void a_role_is_escalated_along_its_fallbacks(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct texts chain;
    check_ok(import(f, good, &e), &e);
    check_ok(import(f, "routes:\n- {id: pm, primary: heavy, fallback: developer}\n", &e), &e);
    struct registry r = load(f);
    check_ok(registry_chain(&r, &f->arena, "developer", &chain, &e), &e);
    assert_string_equal(texts_join(&chain, &f->arena, " ", 0), "small heavy");
    check_ok(registry_chain(&r, &f->arena, "pm", &chain, &e), &e);
    assert_string_equal(texts_join(&chain, &f->arena, " ", 0), "heavy small");
    check_ok(registry_chain(&r, &f->arena, "small", &chain, &e), &e);
    assert_string_equal(texts_join(&chain, &f->arena, " ", 0), "small");
    check_err(registry_chain(&r, &f->arena, "smal", &chain, &e), ERR_NOT_FOUND, &e, "did you mean \"small\"");
}

static void put_exam(struct fixture *f, const char *model, int64_t version, struct exam_card c)
{
    struct err e;
    c.model = model;
    c.version = version;
    check_ok(exam_store(f->store, &c, "Ada", &e), &e);
}

static void check_chain(struct fixture *f, const char *role, const char *models)
{
    struct registry r = load(f);
    struct texts chain;
    struct err e;
    check_ok(registry_chain(&r, &f->arena, role, &chain, &e), &e);
    assert_string_equal(texts_join(&chain, &f->arena, " ", 0), models);
}

static void check_nobody(struct fixture *f, const char *role, const char *why)
{
    struct registry r = load(f);
    struct texts chain;
    struct err e;
    check_err(registry_chain(&r, &f->arena, role, &chain, &e), ERR_REFUSED, &e, why);
}

static void who_does_not_show_what_a_route_requires_is_passed_over(void **state)
{
    struct fixture *f = *state;
    struct err e;
    check_ok(import(f, good, &e), &e);
    check_chain(f, "developer", "small heavy"); /* nothing is required: nobody has to be examined */
    check_ok(import(f, "routes:\n- {id: developer, primary: small, fallback: heavy, min_schema: 80, min_context: 4096, min_edits: 50}\n", &e), &e);
    check_nobody(f, "developer", "small: not examined yet (`tandem model exam small`); heavy: not examined yet");
    put_exam(f, "heavy", 1, (struct exam_card){ .schema = 90, .files = 60, .usable_context = 8192 });
    check_chain(f, "developer", "heavy");
    put_exam(f, "small", 1, (struct exam_card){ .schema = 80, .files = 50, .usable_context = 4096 });
    check_chain(f, "developer", "small heavy");
    put_exam(f, "small", 1, (struct exam_card){ .schema = 79, .files = 10, .usable_context = EXAM_UNKNOWN });
    put_exam(f, "heavy", 1, (struct exam_card){ .schema = 90, .files = 49, .usable_context = 8192 });
    check_nobody(f, "developer", "small: usable context not measured, schema 79 % of 80 %, edits 10 % of 50 %; heavy: edits 49 % of 50 %");
    check_chain(f, "small", "small"); /* who is named, is asked */
}

static void a_new_version_has_to_show_it_again(void **state)
{
    struct fixture *f = *state;
    struct err e;
    check_ok(import(f, good, &e), &e);
    check_ok(import(f, "routes:\n- {id: tester, primary: small, min_schema: 80}\n", &e), &e);
    put_exam(f, "small", 1, (struct exam_card){ .schema = 90 });
    check_chain(f, "tester", "small");
    struct registry r = load(f);
    struct model_entry next = *registry_model(&r, "small");
    struct registry change = { .models = { &next, 1 } };
    next.version = 2;
    check_ok(registry_put(f->store, &change, "Ada", &e), &e);
    check_nobody(f, "tester", "small: not examined yet");
}

static void blocks_need_the_entry_s_word_and_the_exam_s(void **state)
{
    struct fixture *f = *state;
    struct err e;
    check_ok(import(f, good, &e), &e);
    struct registry r = load(f);
    struct model_entry both[] = { *registry_model(&r, "small"), *registry_model(&r, "heavy") };
    struct registry change = { .models = { both, 2 } };
    both[0].edit_format = both[1].edit_format = EDIT_BLOCKS;
    put_exam(f, "small", 1, (struct exam_card){ .blocks = 90, .files = 20 });
    r = load(f);
    assert_false(registry_edits_by_blocks(&r, "small")); /* the entry says whole files */
    check_ok(registry_put(f->store, &change, "Ada", &e), &e);
    r = load(f);
    assert_true(registry_edits_by_blocks(&r, "small"));
    assert_false(registry_edits_by_blocks(&r, "heavy"));     /* not examined */
    assert_false(registry_edits_by_blocks(&r, "developer")); /* is escalated to heavy */
    put_exam(f, "heavy", 1, (struct exam_card){ .blocks = EXAM_BLOCKS_ALLOWED });
    r = load(f);
    assert_true(registry_edits_by_blocks(&r, "developer"));
    check_ok(import(f, "routes:\n- {id: tester, primary: small, min_edits: 85}\n", &e), &e);
    check_chain(f, "tester", "small"); /* in the form that it is asked for */
}

static void what_is_in_use_is_not_removed(void **state)
{
    struct fixture *f = *state;
    struct err e;
    check_ok(import(f, good, &e), &e);
    check_err(registry_remove(f->store, REGISTRY_BACKEND, "gpu-box", "Ada", &e), ERR_REFUSED, &e, "the model heavy runs on gpu-box");
    check_err(registry_remove(f->store, REGISTRY_MODEL, "small", "Ada", &e), ERR_REFUSED, &e, "the route developer uses small");
    check_err(registry_remove(f->store, REGISTRY_ROUTE, "pm", "Ada", &e), ERR_NOT_FOUND, &e, "there is no route \"pm\"");
    check_ok(registry_remove(f->store, REGISTRY_ROUTE, "developer", "Ada", &e), &e);
    check_ok(registry_remove(f->store, REGISTRY_MODEL, "small", "Ada", &e), &e);
    struct registry r = load(f);
    assert_null(registry_model(&r, "small"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_taken_in_and_given_out_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_takes_the_place_of_the_entry_and_is_in_the_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_file_is_refused_with_its_line_and_what_is_allowed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fallbacks_that_go_in_a_circle_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_models_than_can_be_run_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_llama_server_does_one_thing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_role_is_escalated_along_its_fallbacks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_does_not_show_what_a_route_requires_is_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_version_has_to_show_it_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(blocks_need_the_entry_s_word_and_the_exam_s, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_in_use_is_not_removed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
