/* cmd_serve.c - tandem serve: the home, its projects for its owner's commands, its models for everybody who asks. */
#include "cli/commands.h"

#include "base/str.h"
#include "cli/hosting.h"
#include "cli/server.h"
#include "http/server.h"
#include "web/call_log.h"
#include "web/gateway.h"
#include "web/health.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

enum { GRACE_MS = 3000, LOOK_US = 100000, KEPT_BYTES = 1 << 20, HEAPS = 2 };

static const struct option options[] = {
    { .name = "listen", .letter = 'l', .argument = "HOST:PORT", .doc = "where other programs find it (setting listen); none: on the home's socket alone" },
    { 0 },
};

struct serving {
    struct session session;
    struct http_server *server;
    struct health health;
    struct hosting_parts parts;
    struct http_table tables[HOSTING_TABLES + 1];
    const char *socket;
    char address[80]; /* "127.0.0.1:8799"; "": none */
    bool is_open;     /* to other machines */
};

static void on_call(const struct gateway_call *c, void *ctx)
{
    struct serving *s = ctx;
    health_note(&s->health, c);
    call_log_add(s->parts.log, c);
}

static void on_own_call(const struct manager_call *c, void *ctx)
{
    struct serving *s = ctx;
    health_note_own(&s->health, c);
}

static bool is_loopback(const char *host)
{
    struct in6_addr six;
    struct in_addr four;
    if (inet_pton(AF_INET, host, &four) == 1)
        return starts_with(host, "127.");
    return inet_pton(AF_INET6, host, &six) == 1 ? IN6_IS_ADDR_LOOPBACK(&six) : streq(host, "localhost");
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
    s->is_open = !is_loopback(host);
    if (s->is_open && !keyring_count(s->parts.keys))
        return err_set(e, ERR_USAGE, "%s is not this machine alone, and there is no key yet, without which anybody could ask: "
                                     "`tandem key add NAME` makes one; or listen on 127.0.0.1", host);
    int r = http_server_listen_tcp(s->server, host, (int)port, &bound, e);
    if (r == 0)
        snprintf(s->address, sizeof s->address, "%.60s:%d", arena_strndup(a, where, (size_t)(colon - where)), bound);
    return r;
}

static int fill_tables(struct serving *s, struct err *e)
{
    int r = hosting_parts_open(&s->parts, &s->session, s->tables, e);
    if (r < 0)
        return r;
    s->parts.gateway.on_call = on_call; /* ... and in the figures */
    s->parts.gateway.ctx = s;
    s->health.keys = s->parts.keys;
    s->tables[HOSTING_TABLES] = (struct http_table){ health_routes, health_route_count, HTTP_ERRORS_TEXT, &s->health, health_allow };
    return 0;
}

static int start(struct serving *s, struct err *e)
{
    struct invocation *in = s->session.in;
    const struct settings *set = &in->settings;
    struct http_limits limits;
    int r = fill_tables(s, e);
    if (r < 0)
        return r;
    hosting_limits(set, &limits);
    struct http_options o = { .tables = s->tables, .table_count = HOSTING_TABLES + 1, .limits = &limits, .hosts = set->hosts, .origins = set->origins };
    r = http_server_new(&o, &s->server, e);
    s->health.server = s->server;
    if (r == 0)
        r = hosting_listen(&s->session, s->server, &s->socket, e);
    if (r == 0)
        r = open_tcp(s, option_given(in, "listen") ? option_value(in, "listen") : in->settings.listen, e);
    return r < 0 ? r : http_server_start(s->server, e);
}

static void say_where(const struct serving *s)
{
    FILE *out = s->session.in->out;
    if (*s->address)
        fprintf(out, "Tandem serves %s: models on http://%s/v1, projects and models on %s. Ctrl-C ends it.\n", s->session.home, s->address, s->socket);
    else
        fprintf(out, "Tandem serves the projects and models of %s on %s. Ctrl-C ends it.\n", s->session.home, s->socket);
    if (s->is_open)
        fputs("It listens to other machines, and speaks plain HTTP: keys and prompts can be read on the way. Put a reverse proxy with TLS "
              "before it.\n", out);
    fflush(out);
}

/* A command that works on the home lets others in, but it ends; who serves is there for longer, and
 * waits for that.  Two servers on one home are a mistake. */
static int open_when_free(struct session *s, struct invocation *in, struct err *e)
{
    bool told = false;
    int r = session_open_or_ask(s, in, e);
    while (r == 0 && s->server && !atomic_load(&session_interrupted)) {
        if (server_is_for_good(s))
            return err_set(e, ERR_BUSY, "a server runs on %s already, on %s", s->home, s->server);
        if (!told)
            fprintf(in->out, "A command works on %s; serving begins when it has ended.\n", s->home);
        fflush(in->out);
        told = true;
        usleep(LOOK_US);
        r = session_open_again(s, e);
    }
    return r == 0 && s->server ? err_set(e, ERR_CANCELLED, "stopped") : r;
}

/* Handlers take and free some hundred kilobytes for each call.  By itself glibc gives them back to
 * the system each time, which costs a third of a call, and keeps a heap for each few threads. */
static void tune_memory(void)
{
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
    mallopt(M_ARENA_MAX, HEAPS);
}

static int run(struct invocation *in, struct err *e)
{
    struct serving s = { .server = NULL };
    struct manager *manager;
    tune_memory();
    session_catch_signals();
    in->settings_told = true; /* those of a command at work are of no concern */
    int r = open_when_free(&s.session, in, e);
    s.session.called = on_own_call;
    s.session.called_ctx = &s;
    if (r == 0)
        r = session_office(&s.session, e);
    if (r == 0)
        r = office_manager(s.session.office, false, &manager, e);
    health_init(&s.health, s.session.manager);
    if (r == 0)
        r = start(&s, e);
    if (r == 0)
        say_where(&s);
    while (r == 0 && !atomic_load(&session_interrupted))
        usleep(LOOK_US);
    if (s.session.office)
        office_shut(s.session.office);
    if (s.server)
        http_server_stop(s.server, GRACE_MS);
    http_server_free(s.server);
    hosting_parts_close(&s.parts);
    health_release(&s.health);
    session_close(&s.session);
    return r;
}

const struct command command_serve = {
    .name = "serve",
    .summary = "work on projects and run models for all who ask",
    .operands = "",
    .options = options,
    .description = "While it runs, run, resume and all other commands work through it, several projects at once. "
                   "Without it the first command at work lets the others in.\n\n"
                   "Other programs find an OpenAI-compatible address: /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/models. "
                   "The model of a request is one of `tandem model list`, or a role that has a route. /healthz, /readyz and /metrics are "
                   "for those who watch it. Pinned models are loaded at once, others when they are asked for.\n\n"
                   "Without keys, programs on this machine may ask and nobody else (`tandem key`). With keys it may listen on any address; "
                   "it speaks plain HTTP, so put a reverse proxy with TLS before it. It answers only to names that are its own (addresses, "
                   "localhost, the setting hosts) and to web pages of the setting origins.",
    .examples = "tandem serve\ton the address of the setting listen\n"
                "tandem serve --listen 127.0.0.1:9000\ton another one",
    .run = run,
};
