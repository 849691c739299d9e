/* The fake model server itself: what tests rely on when they script it. */
#include "check.h"
#include "fake_process.h"

#include "base/json.h"
#include "canceller.h"
#include "http/client.h"

#include <pthread.h>
#include <signal.h>

struct fixture {
    struct fake_process fake;
    struct err err;
};

static int set_up(void **state)
{
    static struct fixture f;
    fake_make(&f.fake);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    fake_remove(&f->fake);
    return 0;
}

/* The status; 0: nobody answered.  `body` NULL: GET. */
static int ask(struct fixture *f, const char *path, const char *body, const json_t **ret)
{
    STR_LOCAL(text);
    struct arena *a = &f->fake.room.arena;
    struct http_result h;
    json_t *value = NULL;
    struct http_request q = {
        .method = body ? "POST" : "GET", .body = body, .body_len = body ? strlen(body) : 0,
        .url = starts_with(f->fake.url, "unix:") ? arena_printf(a, "http://localhost%s", path) : arena_printf(a, "%s%s", f->fake.url, path),
        .unix_socket = starts_with(f->fake.url, "unix:") ? f->fake.url + 5 : NULL, .total_ms = 10000,
    };
    if (http_ask(&q, &h, &text, &f->err) < 0)
        return 0;
    if (text.len)
        json_parse(a, text.data, text.len, &value, NULL);
    if (ret)
        *ret = value;
    return h.status;
}

static int64_t cached_in(const json_t *answer)
{
    return json_int_of(json_object_get(json_object_get(answer, "usage"), "prompt_tokens_details"), "cached_tokens", -1);
}

/* ---- its life ---- */

static void run(struct fixture *f, const char *const *argv, int status, const char *words)
{
    struct process_options o = { .argv = argv, .env = fake_environment(&f->fake), .merge_stderr = true, .timeout_ms = 10000 };
    struct process_result r;
    check_ok(process_run(&o, &r, &f->err), &f->err);
    if (r.end != PROCESS_EXITED || r.status != status || !strstr(r.out.data, words))
        fail_msg("status %d: %s", r.status, r.out.data);
    process_result_release(&r);
}

static void it_takes_the_flags_of_llama_server_and_no_others(void **state)
{
    struct fixture *f = *state;
    const char *file = scratch_path(&f->fake.room, "m.sock");
    run(f, (const char *[]){ fake_program, "--nosuch", NULL }, 1, "error: invalid argument: --nosuch");
    run(f, (const char *[]){ fake_program, "--ctx-size", NULL }, 1, "expected value for argument");
    run(f, (const char *[]){ fake_program, "-c", "many", NULL }, 1, "error while handling argument \"--ctx-size\": stoi");
    run(f, (const char *[]){ fake_program, "--help", NULL }, 0, "-cram, --cache-ram N");
    scratch_write(&f->fake.room, "m.sock", ""); /* something is there already */
    run(f, (const char *[]){ fake_program, "--host", file, NULL }, 1, "couldn't bind HTTP server socket");
    fake_script(&f->fake, "rulez: []\n");
    run(f, (const char *[]){ fake_program, "--port", "0", NULL }, 2, "script.yaml:1: rulez is not known");
}

static void it_loads_and_then_is_what_it_was_told_to_be(void **state)
{
    struct fixture *f = *state;
    const json_t *answer;
    fake_script(&f->fake, "life:\n- {load_ms: 300}\n");
    fake_start(&f->fake, "llama-server", true, (const char *[]){ "--alias", "coder", "-c", "4096", "-np", "2", "--no-webui", NULL });
    assert_int_equal(ask(f, "/health", NULL, &answer), 503);
    assert_string_equal(json_text_of(json_object_get(answer, "error"), "message", ""), "Loading model");
    assert_non_null(fake_log(&f->fake, "ready", 0));
    assert_int_equal(ask(f, "/health", NULL, &answer), 200);
    assert_int_equal(ask(f, "/props", NULL, &answer), 200);
    assert_int_equal(json_int_of(json_object_get(answer, "default_generation_settings"), "n_ctx", 0), 2048);
    assert_int_equal(json_int_of(answer, "total_slots", 0), 2);
    assert_int_equal(ask(f, "/v1/models", NULL, &answer), 200);
    assert_string_equal(json_text_of(json_array_get(json_object_get(answer, "data"), 0), "id", ""), "coder");
    fake_stop(&f->fake, NULL);
    assert_int_equal(fake_count(&f->fake, "stop"), 1);
}

/* Starts it, waits until it has ended, and says how. */
static struct process_result short_life(struct fixture *f, const char *const *flags, char *said, size_t size)
{
    struct process_result end;
    fake_start(&f->fake, "llama-server", true, flags);
    while (service_wait(f->fake.service, -1))
        ;
    snprintf(said, size, "%s", service_said(f->fake.service));
    fake_stop(&f->fake, &end);
    return end;
}

static void it_fails_to_load_as_told_and_as_often_as_told(void **state)
{
    struct fixture *f = *state;
    char said[4000];
    fake_script(&f->fake, "life:\n"
                          "- {times: 1, load_ms: 20, crash: true}\n"
                          "- {skip: 1, times: 1, exit: 3, says: \"invalid magic characters\\n\"}\n"
                          "- {most_context: 8192, most_gpu_layers: 10}\n");
    struct process_result end = short_life(f, NULL, said, sizeof said);
    assert_int_equal(end.end, PROCESS_SIGNALLED);
    assert_int_equal(end.status, SIGSEGV);
    end = short_life(f, NULL, said, sizeof said);
    assert_int_equal(end.status, 3);
    assert_non_null(strstr(said, "invalid magic"));
    end = short_life(f, (const char *[]){ "-c", "16384", NULL }, said, sizeof said);
    assert_int_equal(end.status, 1);
    assert_non_null(strstr(said, "failed to allocate buffer"));
    end = short_life(f, (const char *[]){ "-c", "8192", "-ngl", "all", NULL }, said, sizeof said);
    assert_non_null(strstr(said, "failed to allocate buffer"));
    fake_start(&f->fake, "llama-server", true, (const char *[]){ "-c", "8192", "-ngl", "10", NULL });
    assert_int_equal(ask(f, "/health", NULL, NULL), 200);
}

static void it_ignores_sigterm_when_told_so(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "life:\n- {ignore_term: true}\n");
    fake_start(&f->fake, "llama-server", false, NULL);
    service_end(f->fake.service, 100, NULL); /* which kills it then */
    f->fake.service = NULL;
    assert_int_equal(fake_count(&f->fake, "stop"), 0);
}

/* ---- slots ---- */

#define HELLO "{\"messages\":[{\"role\":\"user\",\"content\":\"A long beginning that two prompts share, and more of it.\"}]"

static void a_slot_keeps_what_it_read(void **state)
{
    struct fixture *f = *state;
    const json_t *answer;
    fake_start(&f->fake, "llama-server", true, (const char *[]){ "-np", "2", "--slot-save-path", f->fake.room.path, NULL });
    assert_int_equal(ask(f, "/v1/chat/completions", HELLO ",\"id_slot\":1}", &answer), 200);
    assert_int_equal(cached_in(answer), 0);
    assert_int_equal(ask(f, "/v1/chat/completions", HELLO ",\"id_slot\":0}", &answer), 200);
    assert_int_equal(cached_in(answer), 0);
    assert_int_equal(ask(f, "/v1/chat/completions", HELLO "}", &answer), 200); /* finds one by itself */
    int64_t all = json_int_of(json_object_get(answer, "usage"), "prompt_tokens", 0);
    assert_int_equal(cached_in(answer), all - 1); /* the last token is always read */
    assert_int_equal(ask(f, "/slots/1?action=save", "{\"filename\":\"one\"}", NULL), 200);
    assert_int_equal(ask(f, "/slots/1?action=erase", "{}", NULL), 200);
    assert_int_equal(ask(f, "/slots/0?action=erase", "{}", NULL), 200);
    assert_int_equal(ask(f, "/v1/chat/completions", HELLO "}", &answer), 200);
    assert_int_equal(cached_in(answer), 0);
    assert_int_equal(ask(f, "/slots/1?action=restore", "{\"filename\":\"one\"}", NULL), 200);
    assert_int_equal(ask(f, "/v1/chat/completions", HELLO ",\"id_slot\":1}", &answer), 200);
    assert_int_equal(cached_in(answer), all - 1);
    assert_int_equal(ask(f, "/slots/1?action=restore", "{\"filename\":\"none\"}", NULL), 400);
}

static void *ask_slot_0(void *argument)
{
    struct fixture *f = argument;
    STR_LOCAL(text);
    struct http_result h;
    struct err e;
    static const char body[] = HELLO ",\"id_slot\":0,\"stream\":true}";
    struct http_request q = { .method = "POST", .body = body, .body_len = sizeof body - 1, .url = "http://localhost/v1/chat/completions",
                              .unix_socket = f->fake.url + 5, .total_ms = 10000 };
    return (void *)(intptr_t)(http_ask(&q, &h, &text, &e) == 0 && strstr(text.data, "[DONE]"));
}

static void a_busy_slot_is_waited_for_and_another_is_not(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[2];
    const json_t *answer;
    fake_script(&f->fake, "rules:\n- {on: /v1/chat/completions, has: '\"id_slot\":0', tokens_per_s: 30}\n");
    fake_start(&f->fake, "llama-server", true, (const char *[]){ "-np", "2", NULL });
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, ask_slot_0, f);
    assert_non_null(fake_log(&f->fake, "request", 1));
    assert_int_equal(ask(f, "/slots", NULL, &answer), 200);
    assert_true(json_bool_of(json_array_get(answer, 0), "is_processing", false));
    assert_int_equal(ask(f, "/v1/chat/completions", HELLO ",\"id_slot\":1}", NULL), 200);
    assert_int_equal(fake_count(&f->fake, "slot"), 2); /* of the three that asked */
    for (int i = 0; i < 2; i++) {
        void *good;
        pthread_join(threads[i], &good);
        assert_non_null(good);
    }
    assert_true(json_int_of(fake_log(&f->fake, "slot", 2), "at_us", 0) >= json_int_of(fake_log(&f->fake, "end", 0), "at_us", 0));
}

/* ---- rules ---- */

static void rules_count_what_they_were_used_for(void **state)
{
    struct fixture *f = *state;
    const char one[] = "rules:\n- {on: /health, skip: 1, times: 2, status: 500, body: no}\n";
    fake_script(&f->fake, one);
    fake_start(&f->fake, "vllm", false, NULL);
    assert_int_equal(ask(f, "/health", NULL, NULL), 200);
    assert_int_equal(ask(f, "/health", NULL, NULL), 500);
    fake_script(&f->fake, "rules:\n- {on: /health, status: 404}\n");
    assert_int_equal(ask(f, "/health", NULL, NULL), 404);
    fake_script(&f->fake, one); /* goes on counting */
    assert_int_equal(ask(f, "/health", NULL, NULL), 500);
    assert_int_equal(ask(f, "/health", NULL, NULL), 200);
}

static void a_client_that_leaves_is_noted_and_its_slot_free(void **state)
{
    struct fixture *f = *state;
    struct canceller c = { .flag = false };
    pthread_t thread;
    static const char body[] = HELLO ",\"stream\":true}";
    struct http_request q = { .method = "POST", .body = body, .body_len = sizeof body - 1, .url = "http://localhost/v1/chat/completions",
                              .cancel = &c.flag };
    struct http_result h;
    const json_t *answer;
    fake_script(&f->fake, "rules:\n- {on: /v1/chat/completions, cut: 400, then: hang}\n");
    fake_start(&f->fake, "llama-server", true, NULL);
    q.unix_socket = f->fake.url + 5;
    pthread_create(&thread, NULL, cancel_soon, &c);
    assert_int_equal(http_ask(&q, &h, NULL, &f->err), ERR_CANCELLED);
    pthread_join(thread, NULL);
    const json_t *left = fake_log(&f->fake, "left", 0);
    assert_non_null(left);
    assert_true(json_int_of(left, "sent", 0) > 400);
    assert_int_equal(ask(f, "/slots", NULL, &answer), 200);
    assert_false(json_bool_of(json_array_get(answer, 0), "is_processing", true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(it_takes_the_flags_of_llama_server_and_no_others),
        TEST(it_loads_and_then_is_what_it_was_told_to_be),
        TEST(it_fails_to_load_as_told_and_as_often_as_told),
        TEST(it_ignores_sigterm_when_told_so),
        TEST(a_slot_keeps_what_it_read),
        TEST(a_busy_slot_is_waited_for_and_another_is_not),
        TEST(rules_count_what_they_were_used_for),
        TEST(a_client_that_leaves_is_noted_and_its_slot_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
