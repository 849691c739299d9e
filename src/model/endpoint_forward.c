/* endpoint_forward.c - another program's request, as it is, to an OpenAI-compatible server. */
#include "model/endpoint.h"

#include "base/json.h"
#include "model/forward.h"

int endpoint_forward(struct model *model, const struct forward_request *q, int slot, struct forward_result *ret,
                     struct str *refusal, struct err *e)
{
    struct endpoint *m = (struct endpoint *)model;
    static const char *const headers[] = { "Content-Type: application/json", NULL };
    STR_LOCAL(body);
    STR_LOCAL(url);
    struct http_result h;
    const char *name;
    int64_t context;
    int r = endpoint_describe(model, q->cancel, &name, &context, e);
    if (r < 0)
        return r;
    json_put_text(q->body, "model", name);
    if (slot > 0 && atomic_load(&m->is_llama)) {
        json_put_int(q->body, "id_slot", slot - 1);
        json_put_bool(q->body, "cache_prompt", true);
    }
    json_write(&body, q->body);
    str_addf(&url, "%s%s", m->url, q->path);
    struct http_request request = {
        .method = "POST", .url = url.data, .unix_socket = m->socket, .headers = headers, .body = body.data, .body_len = body.len,
        .bearer = m->key, .ca_file = m->options.ca_file, .connect_ms = m->options.connect_ms,
        .first_byte_ms = m->options.first_token_ms, .stall_ms = m->options.stall_ms, .total_ms = m->options.total_ms,
        .max_body = SIZE_MAX, .cancel = q->cancel, .on_body = q->on_body, .ctx = q->ctx,
    };
    r = http_ask(&request, &h, refusal, e);
    if (r < 0)
        return r;
    atomic_store(&m->answered, true);
    ret->status = h.status;
    ret->retry_after_ms = h.retry_after_ms;
    ret->first_byte_us = h.first_byte_us;
    ret->total_us = h.total_us;
    snprintf(ret->content_type, sizeof ret->content_type, "%s", h.content_type);
    snprintf(ret->model, sizeof ret->model, "%s", name);
    return 0;
}
