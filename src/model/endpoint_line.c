/* endpoint_line.c - the requests of an endpoint, all of which end when it hangs up.
 *
 * A llama-server that is asked to end waits for its open streams, and may wait for ever: they are
 * closed first, from another thread, and whoever reads them is told.
 */
#include "model/endpoint.h"

#include "base/err.h"

struct line {
    struct endpoint *m;
    const struct http_request *q;
};

static bool feed(const char *bytes, size_t len, void *ctx)
{
    const struct line *l = ctx;
    return l->q->on_body(bytes, len, l->q->ctx);
}

static bool tick(void *ctx)
{
    const struct line *l = ctx;
    return !atomic_load(&l->m->hung_up) && (!l->q->on_tick || l->q->on_tick(l->q->ctx));
}

int endpoint_http(struct endpoint *m, const struct http_request *q, struct http_result *ret, struct str *body, struct err *e)
{
    struct line line = { m, q };
    struct http_request request = *q;
    request.called = m->options.called;
    request.on_body = q->on_body ? feed : NULL;
    request.on_tick = tick;
    request.ctx = &line;
    int r = http_ask(&request, ret, body, e);
    if (r == ERR_CANCELLED && atomic_load(&m->hung_up) && !is_cancelled(q->cancel))
        return err_set(e, ERR_UNAVAILABLE, "%s is being ended", m->origin);
    return r;
}

void endpoint_hang_up(struct model *model)
{
    atomic_store(&((struct endpoint *)model)->hung_up, true);
}
