/* hosting.c - the home's socket, in the process of a command. */
#include "cli/hosting.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/server.h"
#include "os/files.h"
#include "os/runtime.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GRACE_MS = 200 };

struct hosting {
    struct http_server *server;
    struct hosting_parts parts;
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

static void on_call(const struct gateway_call *c, void *ctx)
{
    const struct hosting_parts *p = ctx;
    call_log_add(p->log, c);
}

void hosting_limits(const struct settings *set, struct http_limits *l)
{
    *l = (struct http_limits)HTTP_LIMITS_DEFAULT;
    l->connections = (size_t)set->http_connections;
    l->connections_per_address = (size_t)set->http_connections_per_address;
    l->workers = (size_t)set->http_workers;
    l->waiting = (size_t)set->http_waiting;
    l->head_ms = set->http_head_s * 1000;
    l->idle_ms = set->http_idle_s * 1000;
    l->rate_grace_ms = set->http_grace_s * 1000;
    l->rate = (size_t)set->http_rate;
    l->stall_ms = set->http_stall_s * 1000;
    l->body = (size_t)set->http_body_mib << 20;
    l->bodies = (size_t)set->http_bodies_mib << 20;
}

/* A sitting has its worker for hours; what others say in the meantime is done by the rest. */
static int64_t most_sittings(const struct settings *set)
{
    int64_t rest = set->http_workers / 4;
    return set->http_workers - (rest ? rest : 1);
}

int hosting_parts_open(struct hosting_parts *p, struct session *s, struct http_table *tables, struct err *e)
{
    const struct settings *set = &s->in->settings;
    *p = (struct hosting_parts){ .keys = NULL };
    int r = keyring_new(&p->keys, s->store, set->keyless_local, e);
    if (r == 0)
        r = call_log_new(&p->log, s->store, p->keys, e);
    if (r < 0)
        return r;
    p->gateway = (struct gateway){ .office = s->office, .store = s->store, .keys = p->keys, .on_call = on_call, .ctx = p,
                                   .wait_ms = set->queue_wait_s * 1000, .vectors_kept = set->vectors_kept };
    p->home = (struct home_api){ .office = s->office, .store = s->store, .keys = p->keys, .vectors_kept = set->vectors_kept };
    p->office = (struct office_api){ .office = s->office, .settings = set, .home_id = home_identity(&s->in->arena, s->home),
                                     .most_sittings = most_sittings(set) };
    tables[0] = (struct http_table){ gateway_routes, gateway_route_count, HTTP_ERRORS_JSON, &p->gateway, gateway_allow };
    tables[1] = (struct http_table){ home_routes, home_route_count, HTTP_ERRORS_JSON, &p->home, allow_owner };
    tables[2] = (struct http_table){ office_routes, office_route_count, HTTP_ERRORS_JSON, &p->office, allow_owner };
    return 0;
}

void hosting_parts_close(struct hosting_parts *p)
{
    call_log_free(p->log);
    keyring_free(p->keys);
}

/* The directory for sockets depends on the environment, which another shell may not share. */
static void say_place(struct session *s, const char *socket)
{
    struct err e;
    const char *line = arena_printf(&s->in->arena, "%s\n", socket);
    int home;
    int r = dir_open(s->home, false, &home, &e);
    if (r == 0) {
        r = file_write(home, SERVER_PLACE, line, strlen(line), 0600, false, &e);
        close(home);
    }
    if (r < 0)
        log_info("the home does not say where its socket is: %s", e.text);
}

int hosting_listen(struct session *s, struct http_server *server, const char **ret_socket, struct err *e)
{
    const char *dir;
    int r = runtime_dir(&s->in->arena, s->home, true, &dir, e);
    if (r < 0)
        return r;
    *ret_socket = arena_printf(&s->in->arena, "%s/tandem.sock", dir);
    r = http_server_listen_unix(server, *ret_socket, e);
    if (r == 0)
        say_place(s, *ret_socket);
    return r;
}

static int open_socket(struct session *s, struct hosting *h, struct err *e)
{
    const char *socket;
    struct http_limits limits;
    struct http_options o = { .tables = h->tables, .table_count = HOSTING_TABLES, .limits = &limits };
    hosting_limits(&s->in->settings, &limits);
    int r = hosting_parts_open(&h->parts, s, h->tables, e);
    if (r == 0)
        r = http_server_new(&o, &h->server, e);
    if (r == 0)
        r = hosting_listen(s, h->server, &socket, e);
    return r < 0 ? r : http_server_start(h->server, e);
}

void session_host(struct session *s)
{
    struct err e;
    if (s->hosting || !s->office)
        return;
    struct hosting *h = xcalloc(1, sizeof *h);
    if (open_socket(s, h, &e) < 0) {
        fprintf(stderr, "tandem: warning: nobody else can speak to this home while this command works: %s\n", e.text);
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
    hosting_parts_close(&h->parts);
    free(h);
}
