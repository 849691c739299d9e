/* endpoint_forward.c - another program's request, as it is, to an OpenAI-compatible server.
 *
 * While a llama-server reads a prompt it sees that we left only when it writes; so it is asked to tell
 * of its progress, and what it tells is kept from the other program, which has not asked for it.
 */
#include "model/endpoint.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "model/forward.h"

enum { MAX_HELD = 1 << 16 };

/* The answer on its way. */
struct passage {
    const struct forward_request *q;
    bool through;     /* nothing is looked at any more */
    struct str held;  /* the beginning of an event */
    int64_t first_us; /* when the first byte was passed on; 0: not yet */
};

static bool pass(struct passage *p, const char *bytes, size_t len)
{
    if (!p->first_us)
        p->first_us = clock_steady_us();
    return p->q->on_body(bytes, len, p->q->ctx);
}

static bool tick(void *ctx)
{
    const struct passage *p = ctx;
    if (p->q->on_wait)
        p->q->on_wait(p->q->ctx);
    return true;
}

/* Leaves out events of progress, which all come before anything else. */
static bool take(const char *bytes, size_t len, void *ctx)
{
    static const char end_of_event[] = "\n\n", progress[] = "\"prompt_progress\":{";
    struct passage *p = ctx;
    if (p->through)
        return pass(p, bytes, len);
    str_add_bytes(&p->held, bytes, len);
    const char *from = p->held.data, *end;
    while (!p->through && (end = strstr(from, end_of_event))) {
        const char *at = strstr(from, progress);
        if (at && at < end)
            from = end + strlen(end_of_event);
        else
            p->through = true;
    }
    size_t left = p->held.len - (size_t)(from - p->held.data);
    p->through = p->through || left > MAX_HELD;
    if (p->through)
        return pass(p, from, left);
    memmove(p->held.data, from, left);
    str_truncate(&p->held, left);
    return true;
}

/* A llama-server takes a schema in one of OpenAI's places only, and where it stands in another one it says
 * nothing and answers in any shape.  Returns the format in the form it honours; NULL: it is. */
static json_t *honoured_format(const json_t *format)
{
    json_t *described = json_object_get(format, "json_schema"), *schema = json_object_get(format, "schema");
    if (!streq(json_text_of(format, "type", ""), "json_schema") || json_is_object(json_object_get(described, "schema")))
        return NULL;
    if (!json_is_object(schema) && !json_object_get(described, "name"))
        schema = described;
    return json_is_object(schema) ? json_pack("{s:s, s:{s:O}}", "type", "json_schema", "json_schema", "schema", schema) : NULL;
}

/* The part, or what a llama-server makes the same of. */
static void write_part(struct str *out, const struct forward_part *part, bool is_llama)
{
    ARENA_LOCAL(a);
    json_t *format, *better = NULL;
    if (is_llama && streq(part->name, "response_format") && json_parse(&a, part->text, part->len, &format, NULL) == 0)
        better = honoured_format(format);
    if (better)
        json_write(out, better);
    else
        str_add_bytes(out, part->text, part->len);
    json_decref(better);
}

/* The members that were looked at, and the others as they came. */
static void write_body(struct str *out, const struct forward_request *q, bool is_llama)
{
    size_t more = 0;
    for (size_t i = 0; i < q->part_count; i++)
        more += q->parts[i].len + strlen(q->parts[i].name) + 4;
    json_write(out, q->body);
    str_reserve(out, more);
    str_truncate(out, out->len - 1);
    for (size_t i = 0; i < q->part_count; i++) {
        str_add(out, ",\"");
        str_add(out, q->parts[i].name);
        str_add(out, "\":");
        write_part(out, &q->parts[i], is_llama);
    }
    str_add_char(out, '}');
}

static int describe_and_write(struct endpoint *m, const struct forward_request *q, int slot, struct str *body, bool *ret_progress,
                              const char **ret_name, struct err *e)
{
    int64_t context;
    int r = endpoint_describe(&m->base, q->cancel, ret_name, &context, e);
    if (r < 0)
        return r;
    bool is_llama = atomic_load(&m->is_llama);
    json_put_text(q->body, "model", *ret_name);
    if (slot > 0 && is_llama) {
        json_put_int(q->body, "id_slot", slot - 1);
        json_put_bool(q->body, "cache_prompt", true);
    }
    *ret_progress = is_llama && json_bool_of(q->body, "stream", false) && !json_object_get(q->body, "return_progress");
    if (*ret_progress)
        json_put_bool(q->body, "return_progress", true);
    write_body(body, q, is_llama);
    if (*ret_progress)
        json_object_del(q->body, "return_progress"); /* the body is the caller's, who may send it again */
    return 0;
}

int endpoint_forward(struct model *model, const struct forward_request *q, int slot, struct forward_result *ret,
                     struct str *refusal, struct err *e)
{
    struct endpoint *m = (struct endpoint *)model;
    static const char *const headers[] = { "Content-Type: application/json", NULL };
    STR_LOCAL(body);
    STR_LOCAL(url);
    struct http_result h;
    const char *name;
    bool progress;
    int64_t start_us = clock_steady_us();
    int r = describe_and_write(m, q, slot, &body, &progress, &name, e);
    if (r < 0)
        return r;
    struct passage passage = { .q = q, .through = !progress, .held = STR_INIT };
    str_addf(&url, "%s%s", m->url, q->path);
    struct http_request request = {
        .method = "POST", .url = url.data, .unix_socket = m->socket, .headers = headers, .body = body.data, .body_len = body.len,
        .bearer = m->key, .ca_file = m->options.ca_file, .connect_ms = m->options.connect_ms,
        .first_byte_ms = m->options.first_token_ms, .stall_ms = m->options.stall_ms, .total_ms = m->options.total_ms,
        .max_body = SIZE_MAX, .cancel = q->cancel, .on_body = take, .on_tick = tick, .ctx = &passage,
    };
    r = endpoint_http(m, &request, &h, refusal, e);
    if (r == 0 && !passage.through && passage.held.len && !pass(&passage, passage.held.data, passage.held.len))
        r = err_set(e, ERR_CANCELLED, "the request was stopped");
    str_release(&passage.held);
    if (r < 0)
        return r;
    atomic_store(&m->answered, true);
    ret->status = h.status;
    ret->retry_after_ms = h.retry_after_ms;
    ret->first_byte_us = passage.first_us ? passage.first_us - start_us : -1;
    ret->total_us = h.total_us;
    snprintf(ret->content_type, sizeof ret->content_type, "%s", h.content_type);
    snprintf(ret->model, sizeof ret->model, "%s", name);
    return 0;
}
