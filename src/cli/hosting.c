/* hosting.c - the home's socket, in the process of a command. */
#include "cli/hosting.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "os/runtime.h"

#include <stdlib.h>

enum { GRACE_MS = 200 };

struct hosting {
    struct http_server *server;
    struct hosting_tables contexts;
    struct http_table tables[HOSTING_TABLES];
};

static int allow_owner(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)ctx;
    if (x->peer.local)
        return 0;
    err_set(e, ERR_REFUSED, "this is for the commands of the home's owner, on its socket");
    return 403;
}

void hosting_fill(struct session *s, struct keyring *keys, struct hosting_tables *t, struct http_table *tables)
{
    t->home = (struct home_api){ .office = s->office, .store = s->store, .keys = keys, .vectors_kept = s->in->settings.vectors_kept };
    t->office = (struct office_api){ s->office, &s->in->settings };
    tables[0] = (struct http_table){ home_routes, home_route_count, HTTP_ERRORS_JSON, &t->home, allow_owner };
    tables[1] = (struct http_table){ office_routes, office_route_count, HTTP_ERRORS_JSON, &t->office, allow_owner };
}

static int open_socket(struct session *s, struct hosting *h, struct err *e)
{
    const char *dir;
    struct http_options o = { .tables = h->tables, .table_count = HOSTING_TABLES };
    int r = http_server_new(&o, &h->server, e);
    if (r == 0)
        r = runtime_dir(&s->in->arena, s->home, true, &dir, e);
    if (r == 0)
        r = http_server_listen_unix(h->server, arena_printf(&s->in->arena, "%s/tandem.sock", dir), e);
    return r < 0 ? r : http_server_start(h->server, e);
}

void session_host(struct session *s)
{
    struct err e;
    if (s->hosting || !s->office)
        return;
    struct hosting *h = xcalloc(1, sizeof *h);
    hosting_fill(s, NULL, &h->contexts, h->tables);
    if (open_socket(s, h, &e) < 0) {
        log_info("nobody else can speak to this home while this command works: %s", e.text);
        hosting_close(h);
        return;
    }
    s->hosting = h;
}

void hosting_close(struct hosting *h)
{
    if (!h)
        return;
    if (h->server)
        http_server_stop(h->server, GRACE_MS);
    http_server_free(h->server);
    free(h);
}
