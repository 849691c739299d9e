/* cmd_serve.c - tandem serve: the models of the home, for everybody who asks. */
#include "cli/commands.h"

#include "base/str.h"
#include "cli/session.h"
#include "http/server.h"
#include "os/runtime.h"
#include "web/call_log.h"
#include "web/gateway.h"
#include "web/health.h"
#include "web/home_api.h"

#include <stdlib.h>
#include <unistd.h>

enum { GRACE_MS = 3000, LOOK_US = 100000 };

static const struct option options[] = {
    { .name = "listen", .letter = 'l', .argument = "HOST:PORT", .doc = "where other programs find it (setting listen); none: on the home's socket alone" },
    { 0 },
};

struct serving {
    struct session session;
    struct http_server *server;
    struct gateway gateway;
    struct health health;
    struct call_log *log;
    struct home_api home;
    struct http_table tables[3];
    const char *socket;
    char address[80]; /* "127.0.0.1:8799"; "": none */
};

static void on_call(const struct gateway_call *c, void *ctx)
{
    struct serving *s = ctx;
    health_note(&s->health, c);
    call_log_add(s->log, c);
}

/* Who reaches us may ask: through the socket it is the home's owner, by TCP somebody on this
 * machine (open_tcp sees to that). */
static int allow(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)x, (void)ctx, (void)e;
    return 0;
}

static int allow_owner(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)ctx;
    if (x->peer.local)
        return 0;
    err_set(e, ERR_REFUSED, "this is for the commands of the home's owner, on its socket");
    return 403;
}

static bool is_loopback(const char *host)
{
    return starts_with(host, "127.") || streq(host, "localhost") || streq(host, "::1");
}

static int open_tcp(struct serving *s, const char *where, struct err *e)
{
    struct arena *a = &s->session.in->arena;
    const char *colon = strrchr(where, ':');
    long long port;
    int bound;
    if (!*where || streq(where, "none"))
        return 0;
    if (!colon || !parse_int(colon + 1, 0, 65535, &port))
        return err_set(e, ERR_USAGE, "\"%.100s\" is no address to listen on; write HOST:PORT, for example 127.0.0.1:8799", where);
    char *host = arena_strndup(a, where, (size_t)(colon - where));
    if (*host == '[' && host[strlen(host) - 1] == ']') { /* [::1]:8799 */
        host[strlen(host) - 1] = '\0';
        host++;
    }
    if (!is_loopback(host))
        return err_set(e, ERR_USAGE, "%s is not this machine alone, and Tandem has no keys for others yet: listen on 127.0.0.1, and let "
                                     "a proxy of yours check who asks", host);
    int r = http_server_listen_tcp(s->server, host, (int)port, &bound, e);
    if (r == 0)
        snprintf(s->address, sizeof s->address, "%.60s:%d", arena_strndup(a, where, (size_t)(colon - where)), bound);
    return r;
}

static int start(struct serving *s, struct err *e)
{
    struct invocation *in = s->session.in;
    const char *dir;
    s->gateway = (struct gateway){ s->session.manager, s->session.store, on_call, s };
    s->tables[0] = (struct http_table){ gateway_routes, gateway_route_count, HTTP_ERRORS_JSON, &s->gateway, allow };
    s->tables[1] = (struct http_table){ health_routes, health_route_count, HTTP_ERRORS_TEXT, &s->health, allow };
    s->home = (struct home_api){ s->session.manager, s->session.store, in->settings.vectors_kept };
    s->tables[2] = (struct http_table){ home_routes, home_route_count, HTTP_ERRORS_JSON, &s->home, allow_owner };
    struct http_options o = { .tables = s->tables, .table_count = 3 };
    int r = call_log_new(&s->log, s->session.store, e);
    if (r == 0)
        r = http_server_new(&o, &s->server, e);
    if (r == 0)
        r = runtime_dir(&in->arena, s->session.home, true, &dir, e);
    if (r < 0)
        return r;
    s->health.server = s->server;
    s->socket = arena_printf(&in->arena, "%s/tandem.sock", dir);
    r = http_server_listen_unix(s->server, s->socket, e);
    if (r == 0)
        r = open_tcp(s, option_given(in, "listen") ? option_value(in, "listen") : in->settings.listen, e);
    return r < 0 ? r : http_server_start(s->server, e);
}

static void say_where(const struct serving *s)
{
    FILE *out = s->session.in->out;
    if (*s->address)
        fprintf(out, "Tandem serves the models of %s on http://%s/v1 (and on %s). Ctrl-C ends it.\n", s->session.home, s->address, s->socket);
    else
        fprintf(out, "Tandem serves the models of %s on %s. Ctrl-C ends it.\n", s->session.home, s->socket);
    fflush(out);
}

static int run(struct invocation *in, struct err *e)
{
    struct serving s = { .server = NULL };
    int r = session_open(&s.session, in, e);
    session_catch_signals();
    if (r == 0)
        r = session_manager(&s.session, e);
    health_init(&s.health, s.session.manager);
    if (r == 0)
        r = start(&s, e);
    if (r == 0)
        say_where(&s);
    while (r == 0 && !atomic_load(&session_interrupted))
        usleep(LOOK_US);
    if (s.server)
        http_server_stop(s.server, GRACE_MS);
    http_server_free(s.server);
    call_log_free(s.log);
    health_release(&s.health);
    session_close(&s.session);
    return r;
}

const struct command command_serve = {
    .name = "serve",
    .summary = "run the models of the home for the team and for other programs",
    .operands = "",
    .options = options,
    .description = "Other programs find an OpenAI-compatible address: /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/models. "
                   "The model of a request is one of `tandem model list`, or a role that has a route. /healthz, /readyz and /metrics are "
                   "for those who watch it. Pinned models are loaded at once, others when they are asked for.",
    .examples = "tandem serve\ton the address of the setting listen\n"
                "tandem serve --listen 127.0.0.1:9000\ton another one",
    .run = run,
};
