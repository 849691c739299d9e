/* The kinds of backend that are there, under the conformance suite. */
#include "check.h"
#include "adapter_fixture.h"
#include "backend_suite.h"

#include <stdlib.h>

#define OPENAI (CAN_SCRIPT | CAN_EVENTS | CAN_SCHEMA | CAN_REASON | CAN_COUNT | CAN_CACHE | CAN_CONTEXT | CAN_LIST | CAN_EMBED)
#define OLLAMA (CAN_SCRIPT | CAN_LINES | CAN_SCHEMA | CAN_REASON | CAN_COUNT | CAN_CONTEXT | CAN_LIST | CAN_EMBED)

static void open_fake(struct backend_fixture *f, const char *pose, bool on_socket)
{
    fake_start(&f->fake, pose, on_socket, (const char *[]){ "--alias", "fake-7b", "--ctx-size", "8192", "--parallel", "2",
                                                            "--embeddings", NULL });
    f->options.url = f->fake.url;
    f->options.name = "fake-7b";
}

static void open_llama(struct backend_fixture *f)
{
    open_fake(f, "llama-server", true);
}

static void open_vllm(struct backend_fixture *f)
{
    open_fake(f, "vllm", false);
}

static void open_ollama(struct backend_fixture *f)
{
    open_fake(f, "ollama", false);
    f->options.url = arena_printf(&f->fake.room.arena, "ollama:%s", f->fake.url);
}

/* ---- the real one, where TANDEM_LLAMA_SERVER and TANDEM_LLAMA_MODEL name it and a small model ---- */

static struct service *real;

static void open_real(struct backend_fixture *f)
{
    const char *socket = scratch_path(&f->fake.room, "real.sock");
    const char *argv[] = { getenv("TANDEM_LLAMA_SERVER"), "--model", getenv("TANDEM_LLAMA_MODEL"), "--alias", "real", "--host", socket,
                           "--ctx-size", "4096", "--parallel", "2", "--offline", "--no-webui", "--embeddings", "--pooling", "mean",
                           "--cache-ram", "0", NULL }; /* else what one slot loses comes back in another */
    struct process_options o = { .argv = argv };
    check_ok(service_start(&real, &o, &f->err), &f->err);
    f->options.url = arena_printf(&f->fake.room.arena, "unix:%s", socket);
    f->options.name = "real";
    f->options.patience_ms = f->options.refused_patience_ms = 60000;
}

static void close_real(struct backend_fixture *f)
{
    (void)f;
    service_end(real, 3000, NULL);
}

/* ---- adapters, as their templates make them ---- */

static void open_template(struct backend_fixture *f, const char *language)
{
    struct adapter *a;
    bool ready = false;
    struct adapter_options o = adapter_options_for(adapter_template(&f->fake.room, language, "toy"));
    check_ok(adapter_start(&a, &o, &f->err), &f->err);
    check_ok(adapter_await(a, 20000, &ready, &f->err), &f->err);
    assert_true(ready);
    f->model = adapter_model(a, &f->options);
}

static void open_python(struct backend_fixture *f)
{
    open_template(f, "python");
}

static void open_c(struct backend_fixture *f)
{
    open_template(f, "c");
}

static void close_adapter(struct backend_fixture *f)
{
    (void)f;
    adapter_sandbox_close(NULL);
}

/* ---- a real Ollama, where TANDEM_OLLAMA is its address and TANDEM_OLLAMA_MODEL a small model in it ---- */

static void open_real_ollama(struct backend_fixture *f)
{
    f->options.url = arena_printf(&f->fake.room.arena, "ollama:%s", getenv("TANDEM_OLLAMA"));
    f->options.name = getenv("TANDEM_OLLAMA_MODEL");
    f->options.context_tokens = 1024;
}

int main(void)
{
    static struct backend_suite suite;
    static const struct backend_kind real_ollama = {
        .name = "a real Ollama", .can = CAN_SCHEMA | CAN_COUNT | CAN_CONTEXT | CAN_EMBED | CAN_LIST, .context = 1024, .open = open_real_ollama,
    };
    if (getenv("TANDEM_OLLAMA") && getenv("TANDEM_OLLAMA_MODEL")) { /* it alone: all others are tested without it too */
        backend_suite_add(&suite, &real_ollama);
        return backend_suite_run(&suite);
    }
    static const struct backend_kind kinds[] = {
        { .name = "a llama-server on a socket", .can = OPENAI | CAN_SLOTS | CAN_LOAD, .chat_path = "/v1/chat/completions",
          .embed_path = "/v1/embeddings", .context = 4096, .open = open_llama },
        { .name = "a vLLM on a port", .can = OPENAI, .chat_path = "/v1/chat/completions", .embed_path = "/v1/embeddings", .context = 4096,
          .open = open_vllm },
        { .name = "an adapter in Python", .can = CAN_COUNT | CAN_CONTEXT | CAN_EMBED, .context = 4096, .open = open_python, .close = close_adapter },
        { .name = "an adapter in C", .can = CAN_COUNT | CAN_CONTEXT | CAN_EMBED, .context = 4096, .open = open_c, .close = close_adapter },
        { .name = "an Ollama", .can = OLLAMA, .chat_path = "/api/chat", .embed_path = "/api/embed", .context = 16384, .open = open_ollama },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        backend_suite_add(&suite, &kinds[i]);
    static const struct backend_kind real_kind = {
        .name = "a real llama-server", .can = CAN_SCHEMA | CAN_COUNT | CAN_CACHE | CAN_SLOTS | CAN_CONTEXT | CAN_EMBED | CAN_LIST,
        .context = 2048, .open = open_real, .close = close_real,
    };
    if (getenv("TANDEM_LLAMA_SERVER") && getenv("TANDEM_LLAMA_MODEL"))
        backend_suite_add(&suite, &real_kind);
    return backend_suite_run(&suite);
}
