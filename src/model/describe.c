/* describe.c - finding out what a model server calls its model and how much fits into it.
 *
 * The list at /v1/models is all that the servers have in common.  A wrong name is caught
 * here, because many servers answer any name with whatever they have.  The context is asked
 * for where each of them tells it; a guess that is too large would be paid for with cut
 * prompts (Ollama drops the beginning without a word).
 */
#include "model/endpoint.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "model/patience.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
    DEFAULT_CONTEXT = 8192,
    OLLAMA_CONTEXT = 4096, /* its default when it does not tell */
    MAX_LISTED = 1000,     /* models of a list that are looked at */
    ASK_MS = 30000,
};

int endpoint_get(struct endpoint *m, const char *url, const char *body, int64_t total_ms, const atomic_bool *cancel,
                 struct arena *a, struct endpoint_reply *ret, struct err *e)
{
    STR_LOCAL(text);
    struct http_result result;
    static const char *const headers[] = { "Content-Type: application/json", NULL };
    struct http_request q = {
        .method = body ? "POST" : "GET", .url = url, .unix_socket = m->socket, .headers = body ? headers : NULL,
        .body = body, .body_len = body ? strlen(body) : 0, .bearer = m->key,
        .ca_file = m->options.ca_file, .connect_ms = m->options.connect_ms,
        .total_ms = total_ms ? total_ms : body ? m->options.first_token_ms : ASK_MS, .cancel = cancel,
    };
    int r = endpoint_http(m, &q, &result, &text, e);
    if (r < 0)
        return r;
    atomic_store(&m->answered, true);
    *ret = (struct endpoint_reply){ .status = result.status, .retry_after_ms = result.retry_after_ms };
    if (result.status / 100 != 2)
        ret->fault = fault_of_answer(result.status, text.data, text.len, m->key);
    json_t *value = NULL;
    if (json_parse(a, text.data, text.len, &value, NULL) == 0 && json_is_object(value))
        ret->value = value;
    else if (result.status / 100 == 2)
        fault_first_words(text.data, text.len, ret->fault.words, sizeof ret->fault.words);
    return 0;
}

enum next { NEXT_DONE, NEXT_AGAIN, NEXT_WAIT };

static enum next judge_reply(int r, const struct endpoint_reply *reply)
{
    if (r < 0)
        return r == ERR_UNAVAILABLE ? NEXT_WAIT : r == ERR_FAILED ? NEXT_AGAIN : NEXT_DONE;
    if (reply->status / 100 == 2)
        return NEXT_DONE;
    return reply->fault.kind == FAULT_WAIT ? NEXT_WAIT : reply->fault.kind == FAULT_BROKEN ? NEXT_AGAIN : NEXT_DONE;
}

int endpoint_ask(struct endpoint *m, const char *url, const char *body, const atomic_bool *cancel,
                 struct arena *a, struct endpoint_reply *ret, int64_t *retries, struct err *e)
{
    struct patience patience = { 0 };
    for (;;) { /* ends with the retries and the patience */
        int r = endpoint_get(m, url, body, 0, cancel, a, ret, e);
        enum next next = judge_reply(r, ret);
        if (next == NEXT_DONE || (next == NEXT_AGAIN && *retries == ENDPOINT_RETRIES))
            return r;
        if (next == NEXT_AGAIN) {
            ++*retries;
            continue;
        }
        int64_t retry_after = r == 0 ? ret->retry_after_ms : -1;
        if (r == 0)
            endpoint_fault_err(m, ret->status, &ret->fault, e);
        else
            err_set(e, r, "%.800s; is the model server running?", arena_strdup(a, e->text));
        r = patience_wait(&patience, endpoint_patience_ms(m), retry_after, cancel, e);
        if (r < 0)
            return r;
    }
}

/* ---- the name ---- */

/* The last part of an id that may be a path, and its length without ".gguf". */
static const char *base_name(const char *id, size_t *ret_len)
{
    const char *slash = strrchr(id, '/');
    const char *base = slash ? slash + 1 : id;
    *ret_len = strlen(base) - (ends_with(base, ".gguf") ? 5 : 0);
    return base;
}

static bool has_alias(const json_t *entry, const char *name)
{
    size_t i;
    const json_t *alias;
    json_array_foreach(json_object_get(entry, "aliases"), i, alias)
        if (json_is_string(alias) && strcasecmp(json_string_value(alias), name) == 0)
            return true;
    return false;
}

enum match { MATCH_NONE, MATCH_PART, MATCH_NAME, MATCH_EXACT };

static enum match match_name(const json_t *entry, const char *member, const char *name)
{
    const char *id = json_text_of(entry, member, "");
    size_t base_len, len = strlen(name);
    const char *base = base_name(id, &base_len);
    if (streq(id, name))
        return MATCH_EXACT;
    if (strcasecmp(id, name) == 0 || has_alias(entry, name) ||
        (base_len == len && strncasecmp(base, name, len) == 0) ||
        (strncasecmp(id, name, len) == 0 && streq(id + len, ":latest")))
        return MATCH_NAME;
    return strcasestr(base, name) ? MATCH_PART : MATCH_NONE;
}

/* The best match, and only if it is the only one as good. */
const json_t *endpoint_find_entry(const json_t *list, const char *member, const char *name)
{
    const json_t *best = NULL;
    enum match best_match = MATCH_NONE;
    int as_good = 0;
    for (size_t i = 0; i < json_array_size(list) && i < MAX_LISTED; i++) {
        const json_t *entry = json_array_get(list, i);
        enum match match = match_name(entry, member, name);
        if (match > best_match) {
            best = entry;
            best_match = match;
            as_good = 0;
        }
        as_good += match == best_match;
    }
    return best_match == MATCH_EXACT || as_good == 1 ? best : NULL;
}

int endpoint_no_such_model(const struct endpoint *m, const json_t *list, const char *member, struct err *e)
{
    STR_LOCAL(names);
    for (size_t i = 0; i < json_array_size(list) && names.len < 600; i++)
        str_addf(&names, "%s%s", i ? ", " : "", json_text_of(json_array_get(list, i), member, "?"));
    return err_set(e, ERR_NOT_FOUND, "%s has no model \"%.100s\"; it lists: %.600s", m->origin,
                   m->options.name, names.len ? names.data : "none");
}

/* ---- the context ---- */

static int64_t context_in_entry(const json_t *entry)
{
    static const char *const members[] = { "max_model_len", "loaded_context_length",
                                           "context_length", "context_window" };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        int64_t n = json_int_of(entry, members[i], 0);
        if (n > 0)
            return n;
    }
    /* llama-server's own: n_ctx is what a slot has; n_ctx_train only what could be had. */
    return json_int_of(json_object_get(entry, "meta"), "n_ctx", 0);
}

static int64_t context_of_ollama(struct endpoint *m, const char *name, const atomic_bool *cancel,
                                 struct arena *a)
{
    struct endpoint_reply reply;
    const char *ps = arena_printf(a, "%s/api/ps", m->root);
    for (int turn = 0; turn < 2; turn++) {
        if (endpoint_get(m, ps, NULL, 0, cancel, a, &reply, NULL) < 0 || !reply.value)
            return OLLAMA_CONTEXT;
        size_t i;
        const json_t *loaded;
        json_array_foreach(json_object_get(reply.value, "models"), i, loaded)
            if (streq(json_text_of(loaded, "name", ""), name))
                return json_int_of(loaded, "context_length", OLLAMA_CONTEXT);
        /* It only tells of loaded models.  The first call would load it anyhow. */
        STR_LOCAL(body);
        json_t *load = json_object();
        json_put_text(load, "model", name);
        json_write(&body, load);
        json_decref(load);
        if (turn == 0 && endpoint_get(m, arena_printf(a, "%s/api/generate", m->root), body.data,
                                      0, cancel, a, &reply, NULL) < 0)
            return OLLAMA_CONTEXT;
    }
    return OLLAMA_CONTEXT;
}

/* The answer of a path that not every server has; NULL: this one has not. */
static const json_t *get_value(struct endpoint *m, const char *url, const atomic_bool *cancel, struct arena *a)
{
    struct endpoint_reply reply;
    return endpoint_get(m, url, NULL, 0, cancel, a, &reply, NULL) == 0 && reply.status == 200 ? reply.value : NULL;
}

static int64_t find_context(struct endpoint *m, const json_t *entry, const char *name,
                            const atomic_bool *cancel, struct arena *a)
{
    int64_t n = m->options.context_tokens ? m->options.context_tokens : context_in_entry(entry);
    if (n > 0)
        return n;
    if (streq(json_text_of(entry, "owned_by", ""), "library")) /* Ollama's mark */
        return context_of_ollama(m, name, cancel, a);
    const json_t *props = get_value(m, arena_printf(a, "%s/props", m->root), cancel, a);
    n = json_int_of(json_object_get(props, "default_generation_settings"), "n_ctx", 0);
    if (n <= 0) /* LM Studio's own; what does not fit it would drop from the middle */
        n = context_in_entry(get_value(m, arena_printf(a, "%s/api/v0/models/%s", m->root, name), cancel, a));
    return n > 0 ? n : DEFAULT_CONTEXT;
}

/* Whether answers may begin with reasoning, as far as the template tells. */
static bool may_reason(const json_t *props)
{
    const char *template = json_text_of(props, "chat_template", NULL);
    return !template || strcasestr(template, "think") || strcasestr(template, "reason") || strstr(template, "<|channel|>");
}

/* Which server it is, and what that means for later requests. */
static void find_kind(struct endpoint *m, const json_t *entry, const atomic_bool *cancel, struct arena *a)
{
    const char *owner = json_text_of(entry, "owned_by", "");
    bool llama = streq(owner, "llamacpp");
    if (llama && !may_reason(get_value(m, arena_printf(a, "%s/props", m->root), cancel, a)))
        atomic_store(&m->schema_form, SCHEMA_GRAMMAR);
    atomic_store(&m->is_vllm, streq(owner, "vllm"));
    atomic_store(&m->is_llama, llama);
}

/* ---- asking ---- */

static int get_list(struct endpoint *m, const atomic_bool *cancel, struct arena *a,
                    struct endpoint_reply *ret, struct err *e)
{
    int64_t retries = 0;
    int r = endpoint_ask(m, arena_printf(a, "%s/models", m->url), NULL, cancel, a, ret, &retries, e);
    if (r < 0 || ret->status / 100 == 2 || ret->fault.kind == FAULT_MISSING)
        return r;
    return endpoint_fault_err(m, ret->status, &ret->fault, e);
}

int openai_ask_server(struct endpoint *m, const atomic_bool *cancel, struct arena *a,
                      const char **ret_name, int64_t *ret_context, struct err *e)
{
    struct endpoint_reply reply;
    int r = get_list(m, cancel, a, &reply, e);
    if (r < 0)
        return r;
    const char *wanted = m->options.name;
    const json_t *list = json_object_get(reply.value, "data");
    if (reply.status / 100 == 2 && !json_is_array(list))
        return err_set(e, ERR_INVALID, "%s does not answer as a model server does (it sent \"%.100s\"); "
                       "is the address right? It usually ends in /v1", m->origin,
                       reply.value ? "an object without a list of models" : reply.fault.words);
    const json_t *entry = wanted ? endpoint_find_entry(list, "id", wanted) : json_array_get(list, 0);
    if (!entry && list && (wanted || json_array_size(list) == 0))
        return wanted ? endpoint_no_such_model(m, list, "id", e)
                      : err_set(e, ERR_NOT_FOUND, "%s has no model loaded", m->origin);
    /* A server without a list (404) is taken at its word. */
    *ret_name = entry ? json_text_of(entry, "id", wanted) : wanted;
    if (!*ret_name)
        *ret_name = "default";
    find_kind(m, entry, cancel, a);
    *ret_context = find_context(m, entry, *ret_name, cancel, a);
    return 0;
}

int endpoint_describe(struct model *model, const atomic_bool *cancel, const char **ret_name,
                      int64_t *ret_context_tokens, struct err *e)
{
    struct endpoint *m = (struct endpoint *)model;
    pthread_mutex_lock(&m->lock);
    bool known = m->name != NULL;
    pthread_mutex_unlock(&m->lock);
    if (!known) {
        /* Not under the lock: a caller who waits for a server must be able to cancel.  Two
         * threads may both ask; the first answer stays. */
        ARENA_LOCAL(a);
        const char *name = NULL;
        int64_t context = 0;
        int r = m->protocol->ask_server(m, cancel, &a, &name, &context, e);
        if (r < 0)
            return r;
        if (is_cancelled(cancel))
            return err_set(e, ERR_CANCELLED, "the call was cancelled");
        pthread_mutex_lock(&m->lock);
        if (!m->name) {
            m->name = xstrdup(name);
            m->context_tokens = context;
        }
        pthread_mutex_unlock(&m->lock);
    }
    *ret_name = m->name;
    *ret_context_tokens = m->context_tokens;
    return 0;
}
