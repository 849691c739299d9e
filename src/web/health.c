/* health.c - health, readiness, and figures in Prometheus' text format.
 *
 * Source of the format: Prometheus, "Exposition formats", text format 0.0.4.
 */
#include "web/health.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

#include <string.h>

static const double bounds_s[HEALTH_BUCKETS - 1] = { 0.005, 0.02, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300 };

void health_init(struct health *h, struct manager *m)
{
    *h = (struct health){ .manager = m };
    pthread_mutex_init(&h->lock, NULL);
}

void health_release(struct health *h)
{
    pthread_mutex_destroy(&h->lock);
}

/* ---- counting ---- */

static struct health_model *model_of(struct health *h, const char *name)
{
    for (size_t i = 0; i < h->model_count; i++)
        if (streq(h->models[i].model, name))
            return &h->models[i];
    if (h->model_count == HEALTH_MODELS)
        return &h->models[HEALTH_MODELS - 1];
    struct health_model *m = &h->models[h->model_count++];
    snprintf(m->model, sizeof m->model, "%s", name);
    return m;
}

static void observe(struct health_histogram *g, int64_t us)
{
    if (us < 0)
        return;
    double s = (double)us / 1e6;
    size_t i = 0;
    while (i < HEALTH_BUCKETS - 1 && s > bounds_s[i])
        i++;
    g->buckets[i]++;
    g->count++;
    g->sum_s += s;
}

static void add_tokens(uint64_t *sum, int64_t tokens)
{
    *sum += tokens > 0 ? (uint64_t)tokens : 0;
}

void health_note(struct health *h, const struct gateway_call *c)
{
    pthread_mutex_lock(&h->lock);
    struct health_model *m = model_of(h, *c->model ? c->model : "none");
    m->calls++;
    m->cancelled += c->cancelled;
    m->failed += !c->cancelled && c->status / 100 != 2;
    add_tokens(&m->prompt_tokens, c->prompt_tokens);
    add_tokens(&m->cached_tokens, c->cached_tokens);
    add_tokens(&m->completion_tokens, c->completion_tokens);
    observe(&m->first_token, c->first_token_us);
    observe(&m->queue, c->queue_us);
    observe(&m->total, c->total_us);
    pthread_mutex_unlock(&h->lock);
}

/* ---- writing ---- */

static void family(struct str *out, const char *name, const char *type, const char *help)
{
    str_addf(out, "# HELP tandem_%s %s\n# TYPE tandem_%s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and line end are escaped. */
static const char *label(struct arena *a, const char *value)
{
    STR_LOCAL(text);
    for (; *value; value++) {
        if (*value == '\n') {
            str_add(&text, "\\n");
            continue;
        }
        if (*value == '\\' || *value == '"')
            str_add_char(&text, '\\');
        str_add_char(&text, *value);
    }
    return arena_strdup(a, text.data);
}

static void write_histogram(struct str *out, const char *name, const char *model, const struct health_histogram *g)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < HEALTH_BUCKETS - 1; i++) {
        sum += g->buckets[i];
        str_addf(out, "tandem_%s_bucket{model=\"%s\",le=\"%g\"} %llu\n", name, model, bounds_s[i], (unsigned long long)sum);
    }
    str_addf(out, "tandem_%s_bucket{model=\"%s\",le=\"+Inf\"} %llu\n", name, model, (unsigned long long)g->count);
    str_addf(out, "tandem_%s_sum{model=\"%s\"} %g\n", name, model, g->sum_s);
    str_addf(out, "tandem_%s_count{model=\"%s\"} %llu\n", name, model, (unsigned long long)g->count);
}

static const struct {
    const char *name, *help;
    size_t offset;
} counters[] = {
    { "calls_total", "Calls of the gateway.", offsetof(struct health_model, calls) },
    { "calls_failed_total", "Calls that did not end in a good answer.", offsetof(struct health_model, failed) },
    { "calls_cancelled_total", "Calls whose client left.", offsetof(struct health_model, cancelled) },
    { "prompt_tokens_total", "Tokens read.", offsetof(struct health_model, prompt_tokens) },
    { "cached_tokens_total", "Of them, tokens that the server's cache held.", offsetof(struct health_model, cached_tokens) },
    { "completion_tokens_total", "Tokens written.", offsetof(struct health_model, completion_tokens) },
};
static const struct {
    const char *name, *help;
    size_t offset;
} histograms[] = {
    { "queue_seconds", "Waiting for a slot.", offsetof(struct health_model, queue) },
    { "first_token_seconds", "From the request to the first token.", offsetof(struct health_model, first_token) },
    { "call_seconds", "From the request to the end of the answer.", offsetof(struct health_model, total) },
};

static void write_calls(struct str *out, struct arena *a, struct health *h)
{
    pthread_mutex_lock(&h->lock);
    for (size_t k = 0; k < sizeof counters / sizeof *counters; k++) {
        family(out, counters[k].name, "counter", counters[k].help);
        for (size_t i = 0; i < h->model_count; i++)
            str_addf(out, "tandem_%s{model=\"%s\"} %llu\n", counters[k].name, label(a, h->models[i].model),
                     (unsigned long long)*(const uint64_t *)((const char *)&h->models[i] + counters[k].offset));
    }
    for (size_t k = 0; k < sizeof histograms / sizeof *histograms; k++) {
        family(out, histograms[k].name, "histogram", histograms[k].help);
        for (size_t i = 0; i < h->model_count; i++)
            write_histogram(out, histograms[k].name, label(a, h->models[i].model),
                            (const struct health_histogram *)((const char *)&h->models[i] + histograms[k].offset));
    }
    pthread_mutex_unlock(&h->lock);
}

static void gauge(struct str *out, const char *name, const char *help, int64_t value)
{
    family(out, name, "gauge", help);
    str_addf(out, "tandem_%s %lld\n", name, (long long)value);
}

static void write_instances(struct str *out, struct arena *a, const struct manager_picture *p)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } gauges[] = {
        { "model_in_flight", "Calls under way.", offsetof(struct manager_instance, in_flight) },
        { "model_waiting", "Calls that wait for the model.", offsetof(struct manager_instance, waiting) },
        { "model_memory_mib", "Memory reserved.", offsetof(struct manager_instance, ram_mib) },
        { "model_vram_mib", "GPU memory reserved.", offsetof(struct manager_instance, vram_mib) },
    };
    family(out, "model_state", "gauge", "1 for the state that an instance is in.");
    for (size_t i = 0; i < p->count; i++)
        str_addf(out, "tandem_model_state{model=\"%s\",replica=\"%lld\",state=\"%s\"} 1\n", label(a, p->instances[i].model),
                 (long long)p->instances[i].replica, life_names[p->instances[i].life]);
    for (size_t k = 0; k < sizeof gauges / sizeof *gauges; k++) {
        family(out, gauges[k].name, "gauge", gauges[k].help);
        for (size_t i = 0; i < p->count; i++)
            str_addf(out, "tandem_%s{model=\"%s\",replica=\"%lld\",version=\"%lld\"} %lld\n", gauges[k].name,
                     label(a, p->instances[i].model), (long long)p->instances[i].replica, (long long)p->instances[i].version,
                     (long long)*(const int64_t *)((const char *)&p->instances[i] + gauges[k].offset));
    }
    gauge(out, "memory_limit_mib", "Memory for models.", p->room.ram_mib);
    gauge(out, "memory_reserved_mib", "Of it, reserved.", p->ram_mib);
}

static void write_server(struct str *out, struct http_server *server)
{
    struct http_counters c;
    http_server_count(server, &c);
    family(out, "http_requests_total", "counter", "Requests taken.");
    str_addf(out, "tandem_http_requests_total %llu\n", (unsigned long long)c.requests);
    family(out, "http_refused_total", "counter", "Malformed requests, refused.");
    str_addf(out, "tandem_http_refused_total %llu\n", (unsigned long long)c.refused);
    family(out, "http_turned_away_total", "counter", "Requests turned away by a limit.");
    str_addf(out, "tandem_http_turned_away_total %llu\n", (unsigned long long)c.turned_away);
    gauge(out, "http_connections", "Connections open.", (int64_t)c.open_connections);
    gauge(out, "http_running", "Requests under way.", (int64_t)c.running);
}

/* ---- handlers ---- */

static int metrics(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)e;
    struct health *h = ctx;
    struct manager_picture picture;
    STR_LOCAL(out);
    manager_look(h->manager, x->arena, &picture);
    write_instances(&out, x->arena, &picture);
    write_calls(&out, x->arena, h);
    if (h->server)
        write_server(&out, h->server);
    http_answer(x, 200, "text/plain; version=0.0.4; charset=utf-8", out.data, out.len);
    return 0;
}

static int healthz(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)ctx, (void)e;
    http_answer(x, 200, "text/plain; charset=utf-8", "ok\n", 3);
    return 0;
}

/* Ready when every pinned model is. */
static int readyz(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)e;
    struct health *h = ctx;
    struct manager_picture picture;
    STR_LOCAL(out);
    manager_look(h->manager, x->arena, &picture);
    for (size_t i = 0; i < picture.count; i++) {
        const struct manager_instance *m = &picture.instances[i];
        if (m->pinned && !m->retired && m->life != LIFE_READY)
            str_addf(&out, "%s is %s%s%s\n", m->model, life_names[m->life], *m->why ? ": " : "", m->why);
    }
    if (out.len)
        http_answer(x, 503, "text/plain; charset=utf-8", out.data, out.len);
    else
        http_answer(x, 200, "text/plain; charset=utf-8", "ready\n", 6);
    return 0;
}

const struct http_route health_routes[] = {
    { "GET", "/healthz", healthz, .quick = true, .doc = "whether the server lives" },
    { "GET", "/readyz", readyz, .quick = true, .doc = "whether every pinned model is loaded" },
    { "GET", "/metrics", metrics, .permission = "watch", .quick = true, .doc = "figures for Prometheus" },
};
const size_t health_route_count = sizeof health_routes / sizeof *health_routes;
