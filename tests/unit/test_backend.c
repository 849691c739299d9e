/* The kinds of backend that are there, under the conformance suite. */
#include "check.h"
#include "backend_suite.h"

#define OPENAI (CAN_SCRIPT | CAN_EVENTS | CAN_SCHEMA | CAN_REASON | CAN_COUNT | CAN_CACHE | CAN_CONTEXT | CAN_LIST | CAN_EMBED)

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

int main(void)
{
    static struct backend_suite suite;
    static const struct backend_kind kinds[] = {
        { .name = "a llama-server on a socket", .can = OPENAI | CAN_SLOTS | CAN_LOAD, .chat_path = "/v1/chat/completions",
          .embed_path = "/v1/embeddings", .context = 4096, .open = open_llama },
        { .name = "a vLLM on a port", .can = OPENAI, .chat_path = "/v1/chat/completions", .embed_path = "/v1/embeddings", .context = 4096,
          .open = open_vllm },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        backend_suite_add(&suite, &kinds[i]);
    return backend_suite_run(&suite);
}
