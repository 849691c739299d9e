/* llama-server as a program: what it is told, and what its last words mean. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "model/llama.h"
#include "os/process.h"

#include <signal.h>

static const char *command(struct arena *a, const struct llama_plan *p, const char *help)
{
    struct texts words = { (const char **)(uintptr_t)llama_command(a, p, help), 0 };
    while (words.items[words.count])
        words.count++;
    return texts_join(&words, a, " ", 0);
}

static void the_command_line_says_what_is_configured_and_nothing_else(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct llama_plan p = { .program = "llama-server", .file = "m.gguf", .alias = "m", .socket = "m.sock",
                            .context = 4096, .slots = 2, .gpu_layers = "" };
    assert_string_equal(command(&a, &p, ""),
                        "llama-server --model m.gguf --alias m --host m.sock --ctx-size 8192 --parallel 2");
    p.gpu_layers = "all";
    p.embeds = true;
    p.cache_mib = 512;
    p.batch = 4096;
    p.slot_dir = "slots";
    const char *more[] = { "--threads", "4" };
    p.arguments = (struct texts){ more, 2 };
    assert_string_equal(command(&a, &p, "-b, --batch-size N  -ub, --ubatch-size N  --cache-ram N  -ctxcp, --ctx-checkpoints, --swa-checkpoints N  "
                                        "--slot-save-path PATH  --offline  --webui, --no-webui"),
                        "llama-server --model m.gguf --alias m --host m.sock --ctx-size 8192 --parallel 2 --n-gpu-layers all "
                        "--embeddings --batch-size 4096 --ubatch-size 4096 --cache-ram 512 --ctx-checkpoints 3 --slot-save-path slots "
                        "--offline --no-webui --threads 4");
    /* An older one, whose flags only begin alike. */
    assert_non_null(strstr(command(&a, &p, "--cache-ram-size N  --no-webui"), "--embeddings --no-webui --threads"));
}

static void last_words_are_understood(void **state)
{
    (void)state;
    static const struct {
        enum process_end end;
        int status;
        const char *said;
        enum llama_end why;
        const char *words;
    } cases[] = {
        { PROCESS_EXITED, 1, "0.00.043.766 E llama_model_load: error loading model: tensor 'x' data is not within the file bounds\n"
          "0.00.043.7 E srv load_model: failed to load model\n", LLAMA_FILE, "it said: llama_model_load: error loading model: tensor" },
        { PROCESS_EXITED, 1, "0.00.298 E ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 18432000000\n"
          "srv: failed to load model\n", LLAMA_MEMORY, "not enough memory" },
        { PROCESS_SIGNALLED, SIGKILL, "loading\n", LLAMA_KILLED, "was killed by signal 9" },
        { PROCESS_SIGNALLED, SIGSEGV, "", LLAMA_CRASHED, "it said: nothing" },
        { PROCESS_EXITED, 1, "error: invalid argument: --nosuch\n", LLAMA_ARGUMENT, "look at the model's entry" },
        { PROCESS_EXITED, 1, "E srv start: couldn't bind HTTP server socket, hostname: x.sock, port: 8080\n", LLAMA_SOCKET, "listen" },
        { PROCESS_SIGNALLED, SIGABRT, "ggml.c:1716: GGML_ASSERT(ctx->mem_buffer != NULL) failed\n", LLAMA_MEMORY, "not enough memory" },
        { PROCESS_EXITED, 1, "ggml_aligned_malloc: insufficient memory (attempted to allocate 720.00 MB)\n", LLAMA_MEMORY, "720.00 MB" },
        { PROCESS_EXITED, 0, "all is well\n\n", LLAMA_CRASHED, "it said: all is well)" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e;
        struct process_result r = { .end = cases[i].end, .status = cases[i].status };
        assert_int_equal(llama_why(&r, cases[i].said, "m", false, &e), cases[i].why);
        assert_int_equal(e.code, cases[i].why == LLAMA_CRASHED || cases[i].why == LLAMA_KILLED || cases[i].why == LLAMA_SOCKET
                                     ? ERR_UNAVAILABLE : ERR_SETUP);
        if (!strstr(e.text, cases[i].words))
            fail_msg("\"%s\" does not say \"%s\"", e.text, cases[i].words);
        llama_why(&r, cases[i].said, "m", true, &e);
        assert_int_equal(e.code, ERR_UNAVAILABLE); /* it was well until then */
    }
}

static void devices_are_found_where_there_are_any(void **state)
{
    (void)state;
    assert_true(llama_has_devices("Available devices:\n  CUDA0: NVIDIA GeForce RTX 3060 (12036 MiB, 11000 MiB free)\n"));
    assert_false(llama_has_devices("0.00.000.631 I srv  llama_server: initializing ...\nAvailable devices:\n  (none)\n"));
    assert_false(llama_has_devices("Available devices:\n")); /* older ones print nothing more */
    assert_false(llama_has_devices("error: invalid argument: --list-devices\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_line_says_what_is_configured_and_nothing_else),
        cmocka_unit_test(last_words_are_understood),
        cmocka_unit_test(devices_are_found_where_there_are_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
