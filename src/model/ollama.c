/* ollama.c - an Ollama, by its own paths (/api): what it has, and its words for a call.
 *
 * Its OpenAI-compatible face cannot say how large the context shall be, and what does not fit
 * is cut without a word.  So each request here says three things: num_ctx, always the same for
 * a model, because another number makes Ollama load it anew; truncate: false, so that what is
 * too long is refused; shift: false, so that an answer ends where the context does, and nothing
 * is forgotten on the way.  Afterwards /api/ps is asked whether the model really has that
 * context.  Ollamas that do not know `truncate` yet are sent nothing that might not fit.
 *
 * A model that Ollama would pass on to its maker's servers is refused: nothing leaves the network.
 */
#include "model/ollama.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "model/endpoint.h"

#include <stdlib.h>

enum {
    USUAL_CONTEXT = 16384, /* where nobody says more or less */
    SAFE_CONTEXT = 8192,   /* where nobody knows what the model can */
    DEFAULT_PORT = 11434,
    RELOAD_US = 500000,    /* an answer that took longer to load may come from another context */
    PING_MS = 2000,
};

const char *ollama_address(struct arena *a)
{
    const char *host = getenv("OLLAMA_HOST");
    const char *scheme = host ? strstr(host, "://") : NULL;
    if (!host || !*host)
        return arena_printf(a, "http://127.0.0.1:%d", DEFAULT_PORT);
    const char *rest = scheme ? scheme + 3 : host;
    const char *before = scheme ? arena_strndup(a, host, (size_t)(rest - host)) : "http://";
    if (starts_with(rest, "0.0.0.0")) /* listens everywhere: also here */
        rest = arena_printf(a, "127.0.0.1%s", rest + strlen("0.0.0.0"));
    else if (*rest == ':')
        rest = arena_printf(a, "127.0.0.1%s", rest);
    bool has_port = strchr(*rest == '[' && strchr(rest, ']') ? strchr(rest, ']') : rest, ':') != NULL;
    return scheme || has_port ? arena_printf(a, "%s%s", before, rest) : arena_printf(a, "%s%s:%d", before, rest, DEFAULT_PORT);
}

/* ---- what there is ---- */

static int ask(struct endpoint *m, const char *path, const char *name, const atomic_bool *cancel, struct arena *a,
               const json_t **ret, struct err *e)
{
    STR_LOCAL(body);
    struct endpoint_reply reply;
    int64_t retries = 0;
    if (name) {
        json_t *value = json_object();
        json_put_text(value, "model", name);
        json_write(&body, value);
        json_decref(value);
    }
    int r = endpoint_ask(m, arena_printf(a, "%s%s", m->url, path), name ? body.data : NULL, cancel, a, &reply, &retries, e);
    if (r == 0 && reply.status / 100 != 2)
        return endpoint_fault_err(m, reply.status, &reply.fault, e);
    if (r == 0 && !reply.value)
        return err_set(e, ERR_INVALID, "%s does not answer as an Ollama does (it sent \"%.100s\"); is the address right?", m->origin,
                       reply.fault.words);
    if (r == 0)
        *ret = reply.value;
    return r;
}

bool ollama_is_elsewhere(const json_t *entry)
{
    return *json_text_of(entry, "remote_model", "") || *json_text_of(entry, "remote_host", "");
}

static int choose(struct endpoint *m, const json_t *list, const char **ret_name, struct err *e)
{
    const char *wanted = m->options.name;
    const json_t *entry = wanted ? endpoint_find_entry(list, "name", wanted) : NULL;
    for (size_t i = 0; !wanted && !entry && i < json_array_size(list); i++)
        entry = ollama_is_elsewhere(json_array_get(list, i)) ? NULL : json_array_get(list, i);
    if (!entry)
        return wanted ? endpoint_no_such_model(m, list, "name", e)
                      : err_set(e, ERR_NOT_FOUND, "%s has no model; `ollama pull` brings one", m->origin);
    *ret_name = json_text_of(entry, "name", "");
    if (ollama_is_elsewhere(entry))
        return err_set(e, ERR_REFUSED, "%s is not on your machines: %s passes it on to %s. Choose a model that is there", *ret_name,
                       m->origin, json_text_of(entry, "remote_host", "its maker"));
    return 0;
}

/* Of the file's own figures, whatever its architecture is called. */
static int64_t trained_context(const json_t *shown)
{
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(shown, "model_info"), key, value)
        if (ends_with(key, ".context_length") && json_is_integer(value))
            return json_integer_value(value);
    return 0;
}

/* What the person who made the model has said in its Modelfile. */
static int64_t context_in_parameters(const json_t *shown)
{
    for (const char *line = json_text_of(shown, "parameters", ""); line; line = strchr(line, '\n')) {
        line += *line == '\n';
        long long n;
        char word[24] = "";
        if (starts_with(line, "num_ctx") && sscanf(line, "num_ctx %20s", word) == 1 && parse_int(word, 1, INT32_MAX, &n))
            return n;
    }
    return 0;
}

static int64_t loaded_context(const json_t *processes, const char *name)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(json_object_get(processes, "models"), i, entry)
        if (streq(json_text_of(entry, "name", ""), name))
            return json_int_of(entry, "context_length", 0);
    return -1;
}

/* One number for all calls. */
static int64_t choose_context(const struct endpoint *m, const json_t *shown, int64_t loaded)
{
    int64_t trained = trained_context(shown), n = m->options.context_tokens ? m->options.context_tokens : context_in_parameters(shown);
    if (!n)
        n = loaded > USUAL_CONTEXT ? loaded : trained ? USUAL_CONTEXT : SAFE_CONTEXT;
    return trained && n > trained ? trained : n; /* Ollama would lower it without a word */
}

/* `truncate` came to chats in the autumn of 2025.  Builds from source call themselves 0.0.0. */
static bool knows_truncate(const char *version)
{
    int major = 0, minor = 0;
    return sscanf(version, "%3d.%5d", &major, &minor) == 2 && (major > 0 || minor == 0 || minor >= 13);
}

static int ask_server(struct endpoint *m, const atomic_bool *cancel, struct arena *a, const char **ret_name,
                      int64_t *ret_context, struct err *e)
{
    const json_t *tags, *shown, *processes, *version;
    int r = ask(m, "/tags", NULL, cancel, a, &tags, e);
    if (r == 0 && !json_is_array(json_object_get(tags, "models")))
        return err_set(e, ERR_INVALID, "%s does not answer as an Ollama does (no list of models); is the address right?", m->origin);
    if (r == 0)
        r = choose(m, json_object_get(tags, "models"), ret_name, e);
    if (r == 0)
        r = ask(m, "/show", *ret_name, cancel, a, &shown, e);
    if (r == 0)
        r = ask(m, "/ps", NULL, cancel, a, &processes, e);
    if (r == 0)
        r = ask(m, "/version", NULL, cancel, a, &version, e);
    if (r < 0)
        return r;
    atomic_store(&m->cuts, !knows_truncate(json_text_of(version, "version", "")));
    *ret_context = choose_context(m, shown, loaded_context(processes, *ret_name));
    return 0;
}

/* ---- requests ---- */

void ollama_put_terms(const struct endpoint *m, int64_t context, json_t *body)
{
    json_put_bool(body, "truncate", false);
    json_put_bool(body, "shift", false);
    json_put_int(body, "keep_alive", m->options.keep_s);
    if (!json_object_get(body, "options"))
        json_put(body, "options", json_object());
    json_put_int(json_object_get(body, "options"), "num_ctx", context);
}

static void write_chat(const struct endpoint *m, const struct chat_request *q, const struct attempt *a, json_t *body)
{
    ollama_put_terms(m, a->context, body);
    json_t *options = json_object_get(body, "options");
    if (a->schema != SCHEMA_NONE)
        json_put(body, "format", record_schema(q->schema));
    json_put_int(options, "seed", a->seed);
    json_put(options, "temperature", json_real(q->temperature));
    if (q->max_tokens > 0)
        json_put_int(options, "num_predict", q->max_tokens);
    if (q->sampling && json_object_update_missing(options, (json_t *)(uintptr_t)q->sampling) < 0)
        out_of_memory();
}

static const json_t *vectors(const json_t *value, struct arena *a, int64_t *ret_tokens)
{
    size_t i;
    json_t *vector, *list = json_keep(a, json_array());
    json_array_foreach(json_object_get(value, "embeddings"), i, vector)
        if (json_array_append_new(list, json_pack("{s:O}", "embedding", vector)) < 0)
            out_of_memory();
    *ret_tokens = json_int_of(value, "prompt_eval_count", -1);
    return list;
}

/* ---- the context, before and after ---- */

static int check_request(struct endpoint *m, const struct chat_request *q, const struct attempt *a, struct err *e)
{
    if (!atomic_load(&m->cuts))
        return 0;
    int64_t tokens = tokens_estimate_messages(q->messages, q->message_count);
    if (tokens + q->max_tokens <= a->context)
        return 0;
    return err_set(e, ERR_LIMIT, "the prompt does not fit the model's context: some %lld tokens and %lld for the answer, of %lld; %s is too "
                   "old to refuse what is too long, and would cut it: bring it up to date, or give the model a larger context",
                   (long long)tokens, (long long)q->max_tokens, (long long)a->context, m->origin);
}

/* Whether the model has at least this context now; -1: it is not loaded, 0: nothing is said. */
static int ask_loaded(struct endpoint *m, const char *name, const atomic_bool *cancel, int64_t *ret, struct err *e)
{
    ARENA_LOCAL(a);
    const json_t *processes;
    int r = ask(m, "/ps", NULL, cancel, &a, &processes, e);
    if (r == 0)
        *ret = loaded_context(processes, name);
    return r;
}

static int too_small(const struct endpoint *m, const char *name, int64_t has, int64_t wanted, struct err *e)
{
    return err_set(e, ERR_SETUP, "%s gives %s a context of %lld tokens, not the %lld that were asked for; ask for less "
                   "(`--set context_tokens=%lld`, or `tandem model set %s context=%lld`)", m->origin, name, (long long)has,
                   (long long)wanted, (long long)has, name, (long long)has);
}

static int check_answer(struct endpoint *m, const struct attempt *a, const struct chat_answer *answer, int64_t load_us,
                        const atomic_bool *cancel, struct err *e)
{
    int64_t has = 0;
    if (answer->prompt_tokens >= a->context)
        return err_set(e, ERR_LIMIT, "the prompt does not fit the model's context: it filled all %lld tokens, so %s may have cut it",
                       (long long)a->context, m->origin);
    if (atomic_load(&m->checked) && load_us < RELOAD_US)
        return 0;
    int r = ask_loaded(m, a->name, cancel, &has, e);
    if (r == 0 && has > 0 && has < a->context)
        r = too_small(m, a->name, has, a->context, e);
    if (r == 0 && has >= 0)
        atomic_store(&m->checked, true);
    return r;
}

const struct protocol ollama_protocol = {
    .name = "ollama", .hint = "; `ollama list` shows what it has", .chat_path = "/chat", .embed_path = "/embed",
    .accept = "Accept: application/x-ndjson", .dialect = DIALECT_OLLAMA, .write_chat = write_chat, .write_embed = ollama_put_terms,
    .ask_server = ask_server, .check_request = check_request, .check_answer = check_answer, .vectors = vectors,
};

/* ---- loading and letting go ---- */

int ollama_is_loaded(struct model *model, const atomic_bool *cancel, bool *ret, struct err *e)
{
    const char *name;
    int64_t context, has = 0;
    int r = endpoint_describe(model, cancel, &name, &context, e);
    if (r == 0)
        r = ask_loaded((struct endpoint *)model, name, cancel, &has, e);
    if (r == 0)
        *ret = has >= context;
    return r;
}

/* One request that is no call; `body` (taken over) gets the model's name, and the terms unless it says
 * itself how long the model shall stay. */
static int order(struct endpoint *m, const char *path, json_t *body, int64_t total_ms, const atomic_bool *cancel, struct err *e)
{
    ARENA_LOCAL(a);
    STR_LOCAL(text);
    struct endpoint_reply reply;
    const char *name;
    int64_t context;
    json_keep(&a, body);
    int r = endpoint_describe(&m->base, cancel, &name, &context, e);
    if (r < 0)
        return r;
    json_put_text(body, "model", name);
    json_put_bool(body, "stream", false);
    if (!json_object_get(body, "keep_alive"))
        ollama_put_terms(m, context, body);
    json_write(&text, body);
    r = endpoint_get(m, arena_printf(&a, "%s%s", m->url, path), text.data, total_ms, cancel, &a, &reply, e);
    return r < 0 || reply.status / 100 == 2 ? r : endpoint_fault_err(m, reply.status, &reply.fault, e);
}

int ollama_load(struct model *model, int64_t total_ms, const atomic_bool *cancel, struct err *e)
{
    struct endpoint *m = (struct endpoint *)model;
    const char *name;
    int64_t context, has = 0;
    int r = order(m, "/generate", json_object(), total_ms, cancel, e);
    if (r == 0)
        r = endpoint_describe(model, cancel, &name, &context, e);
    if (r == 0)
        r = ask_loaded(m, name, cancel, &has, e);
    if (r < 0)
        return r;
    if (has < 0)
        return err_set(e, ERR_UNAVAILABLE, "%s has loaded %s and let it go again", m->origin, name);
    return has > 0 && has < context ? too_small(m, name, has, context, e) : 0;
}

int ollama_try(struct model *model, bool embeds, int64_t total_ms, const atomic_bool *cancel, struct err *e)
{
    struct endpoint *m = (struct endpoint *)model;
    json_t *body = embeds ? json_pack("{s:s}", "input", "one")
                          : json_pack("{s:s, s:b, s:{s:i}}", "prompt", "one", "raw", 1, "options", "num_predict", 1);
    return order(m, embeds ? "/embed" : "/generate", body, total_ms, cancel, e);
}

int ollama_ping(struct model *model, struct err *e)
{
    ARENA_LOCAL(a);
    struct endpoint *m = (struct endpoint *)model;
    struct endpoint_reply reply;
    int r = endpoint_get(m, arena_printf(&a, "%s/version", m->url), NULL, PING_MS, NULL, &a, &reply, e);
    return r < 0 || reply.status / 100 == 2 ? r : endpoint_fault_err(m, reply.status, &reply.fault, e);
}

int ollama_unload(struct model *model, struct err *e)
{
    return order((struct endpoint *)model, "/generate", json_pack("{s:i}", "keep_alive", 0), PING_MS, NULL, e);
}
