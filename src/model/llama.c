/* llama.c - llama-server's command line, and the reading of its last words. */
#include "model/llama.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "os/process.h"

#include <inttypes.h>
#include <signal.h>

/* ---- the command line ---- */

struct command {
    struct arena *arena;
    struct texts words;
    const char *help;
};

static void add(struct command *c, const char *flag, const char *value)
{
    texts_add(&c->words, c->arena, flag);
    if (value)
        texts_add(&c->words, c->arena, value);
}

static void add_int(struct command *c, const char *flag, int64_t value)
{
    add(c, flag, arena_printf(c->arena, "%" PRId64, value));
}

/* It stands in the help, and nothing longer does instead. */
bool llama_knows(const char *help, const char *flag)
{
    size_t len = strlen(flag);
    for (const char *at = help; (at = strstr(at, flag)); at += len)
        if (!strchr("abcdefghijklmnopqrstuvwxyz-", at[len]) || !at[len])
            return true;
    return false;
}

bool llama_has_devices(const char *said)
{
    static const char title[] = "Available devices:";
    const char *at = strstr(said, title);
    if (!at)
        return false;
    at += strlen(title);
    at += strspn(at, " \r\n\t");
    return *at && !starts_with(at, "(none)");
}

/* A flag that makes things better where it is known. */
static void add_known(struct command *c, const char *flag, int64_t value)
{
    if (llama_knows(c->help, flag))
        add_int(c, flag, value);
}

static bool knows(const struct command *c, const char *flag)
{
    return llama_knows(c->help, flag);
}

const char *const *llama_command(struct arena *a, const struct llama_plan *p, const char *help)
{
    struct command c = { .arena = a, .help = help };
    add(&c, p->program, NULL);
    add(&c, "--model", p->file);
    add(&c, "--alias", p->alias);
    add(&c, "--host", p->socket);
    add_int(&c, "--ctx-size", p->context * p->slots); /* of all slots together */
    add_int(&c, "--parallel", p->slots);
    if (*p->gpu_layers)
        add(&c, "--n-gpu-layers", p->gpu_layers);
    if (p->embeds)
        add(&c, "--embeddings", NULL);
    if (p->batch) {
        add_known(&c, "--batch-size", p->batch);
        if (p->embeds)
            add_known(&c, "--ubatch-size", p->batch);
    }
    add_known(&c, "--cache-ram", p->cache_mib);
    add_known(&c, "--ctx-checkpoints", LLAMA_CHECKPOINTS);
    if (p->slot_dir && knows(&c, "--slot-save-path"))
        add(&c, "--slot-save-path", p->slot_dir);
    if (knows(&c, "--offline"))
        add(&c, "--offline", NULL);
    if (knows(&c, "--no-webui"))
        add(&c, "--no-webui", NULL);
    for (size_t i = 0; i < p->arguments.count; i++)
        add(&c, p->arguments.items[i], NULL);
    const char **argv = ARENA_ARRAY(a, const char *, c.words.count + 1);
    memcpy(argv, c.words.items, c.words.count * sizeof *argv);
    argv[c.words.count] = NULL;
    return argv;
}

/* ---- its last words ---- */

static const struct {
    const char *words;
    enum llama_end why;
} signs[] = {
    /* In the order of how certain they are: a file that is too short also fails to load. */
    { "invalid argument", LLAMA_ARGUMENT },
    { "error while handling argument", LLAMA_ARGUMENT },
    { "unknown argument", LLAMA_ARGUMENT },
    { "couldn't bind", LLAMA_SOCKET },
    { "failed to allocate", LLAMA_MEMORY },
    { "out of memory", LLAMA_MEMORY },
    { "unable to allocate", LLAMA_MEMORY },
    { "std::bad_alloc", LLAMA_MEMORY },
    { "cannot allocate memory", LLAMA_MEMORY },
    { "insufficient memory", LLAMA_MEMORY },
    { "mem_buffer != NULL", LLAMA_MEMORY }, /* an assertion, after malloc */
    { "error loading model", LLAMA_FILE },
    { "failed to load model", LLAMA_FILE },
    { "unknown model architecture", LLAMA_FILE },
};

/* The line that holds `at`, without the server's stamps before it ("0.00.043.766 E "). */
static const char *line_around(struct arena *a, const char *text, const char *at)
{
    while (at > text && at[-1] != '\n')
        at--;
    const char *line = arena_strndup(a, at, strcspn(at, "\n"));
    const char *level = strpbrk(line, "EWI");
    if (level && level[1] == ' ' && strspn(line, "0123456789. ") == (size_t)(level - line))
        line = level + 2;
    while (*line == ' ')
        line++;
    return line;
}

static const char *last_line(struct arena *a, const char *said)
{
    size_t len = strlen(said);
    while (len && strchr("\r\n \t", said[len - 1]))
        len--;
    const char *text = arena_strndup(a, said, len);
    return len ? line_around(a, text, text + len - 1) : "nothing";
}

enum llama_end llama_why(const struct process_result *end, const char *said, const char *alias, bool ready, struct err *e)
{
    static const char *const meaning[] = {
        [LLAMA_CRASHED] = "it ended unexpectedly",
        [LLAMA_MEMORY] = "there is not enough memory: a smaller context, fewer slots or a smaller model would fit",
        [LLAMA_KILLED] = "it was killed, by somebody or by the kernel because memory was short",
        [LLAMA_FILE] = "its file cannot be loaded: import it again, or use a newer llama-server if the model is new",
        [LLAMA_ARGUMENT] = "this llama-server does not take its arguments: look at the model's entry (`tandem model list`)",
        [LLAMA_SOCKET] = "it could not listen on its socket",
    };
    ARENA_LOCAL(a);
    char how[100];
    enum llama_end why = LLAMA_CRASHED;
    const char *words = last_line(&a, said);
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        const char *at = strcasestr(said, signs[i].words);
        if (!at)
            continue;
        why = signs[i].why;
        words = line_around(&a, said, at);
        break;
    }
    /* Also the kernel's way of saying that memory is short. */
    if (why == LLAMA_CRASHED && end->end == PROCESS_SIGNALLED && end->status == SIGKILL)
        why = LLAMA_KILLED;
    process_result_describe(end, how, sizeof how);
    bool passes = ready || why == LLAMA_CRASHED || why == LLAMA_KILLED || why == LLAMA_SOCKET;
    err_set(e, passes ? ERR_UNAVAILABLE : ERR_SETUP, "%s %s: %s (llama-server %s; it said: %.300s)", alias,
            ready ? "is no longer there" : "was not loaded", meaning[why], how, words);
    return why;
}
