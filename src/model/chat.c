/* chat.c - models in general: their options, and the calls that every backend shares. */
#include "model/chat.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/utf8.h"
#include "http/client.h"
#include "model/backend.h"
#include "model/ollama.h"
#include "model/recording.h"

enum { MAX_SOCKET_PATH = 107 }; /* the kernel's */

const struct model_options model_default_options = {
    .keep_s = 1800, /* a suite of tests may run meanwhile */
    .connect_ms = 5000,
    .first_token_ms = 600000, /* 8,000 tokens of prompt at 15 a second, on a CPU */
    .stall_ms = 120000,
    .total_ms = 3600000,
    .max_answer_bytes = 4 << 20,
    .embed_texts = 32,
    .embed_bytes = 128 << 10, /* on a CPU a minute or two */
    .patience_ms = 600000, /* a large model from a slow disk */
    .refused_patience_ms = 3000,
    .drift = DRIFT_WARN,
};

static bool is_web(const char *url)
{
    return starts_with(url, "http://") || starts_with(url, "https://");
}

int model_options_parse(const char *word, struct arena *a, struct model_options *ret, struct err *e)
{
    struct model_options o = model_default_options;
    const char *hash = strrchr(word, '#');
    size_t len = hash ? (size_t)(hash - word) : strlen(word);
    o.url = arena_strndup(a, word, len);
    if (hash && hash[1])
        o.name = arena_strdup(a, hash + 1);
    if (streq(o.url, "ollama:"))
        o.url = arena_printf(a, "ollama:%s", ollama_address(a));
    const char *url = o.url + (starts_with(o.url, "ollama:") ? strlen("ollama:") : 0);
    bool web = is_web(url);
    bool socket = starts_with(url, "unix:/") && url[6];
    bool good = socket ? true
                : web ? strstr(url, "://")[3] && !strpbrk(word, " \t\r\n")
                      : starts_with(url, "replay:") && url[7] && url == o.url;
    if (web && http_has_login(url))
        return err_set(e, ERR_INVALID, "the address of a model is stored and shown, so there must be no user name or password in "
                       "it (before the @); a key goes into TANDEM_API_KEY or a file (setting api_key_file)");
    if (!good || !utf8_valid(word, strlen(word), NULL))
        return err_set(e, ERR_INVALID, "\"%.100s\" is not a model; give an address such as "
                       "http://127.0.0.1:8080/v1#name, ollama:http://127.0.0.1:11434#name, or replay:DIRECTORY", word);
    if (socket && strlen(url) - strlen("unix:") > MAX_SOCKET_PATH)
        return err_set(e, ERR_INVALID, "\"%.200s\" cannot be a socket: its path is longer than %d bytes", word,
                       MAX_SOCKET_PATH);
    *ret = o;
    return 0;
}

int model_open(struct model **ret, const struct model_options *o, struct err *e)
{
    if (starts_with(o->url, "replay:"))
        return replay_open_named(ret, o->url + 7, o->name, o->drift, e);
    if (is_web(o->url) || starts_with(o->url, "unix:") || starts_with(o->url, "ollama:"))
        return endpoint_open(ret, o, e);
    return err_set(e, ERR_INVALID, "\"%.100s\" is not the address of a model", o->url);
}

void model_free(struct model *m)
{
    if (m)
        m->backend->free(m);
}

void model_record(struct model *m, struct recording *r)
{
    m->recording = r;
}

int model_describe(struct model *m, const atomic_bool *cancel, const char **ret_name, int64_t *ret_context_tokens,
                   struct err *e)
{
    return m->backend->describe(m, cancel, ret_name, ret_context_tokens, e);
}

const char *chat_role_name(enum chat_role role)
{
    static const char *const names[] = { "system", "user", "assistant" };
    return names[role];
}

int model_chat(struct model *m, const struct chat_request *q, struct chat_answer *ret, struct err *e)
{
    struct chat_answer answer = { .text = STR_INIT, .reasoning = STR_INIT, .prompt_tokens = -1,
                                  .cached_tokens = -1, .completion_tokens = -1 };
    struct err ignored;
    int64_t start = clock_steady_us();
    e = e ? e : &ignored;
    int r = is_cancelled(q->cancel) ? ERR_CANCELLED : m->backend->chat(m, q, &answer, e);
    if (r == 0)
        r = recording_take(m, q, &answer, e);
    if (r < 0) {
        chat_answer_release(&answer);
        return r == ERR_CANCELLED ? err_set(e, r, "the call was cancelled") : r;
    }
    answer.total_us = clock_steady_us() - start;
    *ret = answer;
    return 0;
}

int model_forward(struct model *m, const struct forward_request *q, struct forward_result *ret, struct str *refusal, struct err *e)
{
    struct forward_result result = { .retry_after_ms = -1, .first_byte_us = -1 };
    if (!m->backend->forward)
        return err_set(e, ERR_INVALID, "this model cannot be asked by other programs");
    str_clear(refusal);
    int r = m->backend->forward(m, q, 0, &result, refusal, e);
    *ret = result;
    return r;
}

void chat_answer_release(struct chat_answer *a)
{
    str_release(&a->text);
    str_release(&a->reasoning);
}
