/* health.c - health, readiness, and figures in Prometheus' text format.
 *
 * Source of the format: Prometheus, "Exposition formats", text format 0.0.4.
 */
#include "web/health.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

static struct health_model *model_of(struct health *h, const char *name, enum health_caller caller)
{
    const size_t most = sizeof h->models / sizeof *h->models;
    for (size_t i = 0; i < h->model_count; i++)
        if (streq(h->models[i].model, name) && h->models[i].caller == caller)
            return &h->models[i];
    if (h->model_count == most)
        return &h->models[most - 1];
    struct health_model *m = &h->models[h->model_count++];
    m->caller = caller;
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

static void note(struct health *h, const struct manager_call *c, enum health_caller caller)
{
    pthread_mutex_lock(&h->lock);
    struct health_model *m = model_of(h, *c->model ? c->model : "none", caller);
    m->calls++;
    m->cancelled += c->cancelled;
    m->failed += !c->cancelled && c->failed;
    add_tokens(&m->prompt_tokens, c->prompt_tokens);
    add_tokens(&m->cached_tokens, c->cached_tokens);
    add_tokens(&m->completion_tokens, c->completion_tokens);
    observe(&m->first_token, c->first_token_us);
    observe(&m->queue, c->queue_us);
    observe(&m->total, c->total_us);
    pthread_mutex_unlock(&h->lock);
}

void health_note(struct health *h, const struct gateway_call *c)
{
    struct manager_call call = { c->model, c->prompt_tokens, c->cached_tokens, c->completion_tokens, c->queue_us, c->first_token_us,
                                 c->total_us, .failed = c->status / 100 != 2, .cancelled = c->cancelled };
    note(h, &call, HEALTH_PROGRAM);
}

void health_note_own(struct health *h, const struct manager_call *c)
{
    note(h, c, HEALTH_TEAM);
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

/* `of`: labels of the model and the caller. */
static void write_histogram(struct str *out, const char *name, const char *of, const struct health_histogram *g)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < HEALTH_BUCKETS - 1; i++) {
        sum += g->buckets[i];
        str_addf(out, "tandem_%s_bucket{%s,le=\"%g\"} %llu\n", name, of, bounds_s[i], (unsigned long long)sum);
    }
    str_addf(out, "tandem_%s_bucket{%s,le=\"+Inf\"} %llu\n", name, of, (unsigned long long)g->count);
    str_addf(out, "tandem_%s_sum{%s} %g\n", name, of, g->sum_s);
    str_addf(out, "tandem_%s_count{%s} %llu\n", name, of, (unsigned long long)g->count);
}

static const struct {
    const char *name, *help;
    size_t offset;
} counters[] = {
    { "calls_total", "Calls of models, by other programs or by the team.", offsetof(struct health_model, calls) },
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

static const char *labels_of(struct arena *a, const struct health_model *m)
{
    return arena_printf(a, "model=\"%s\",caller=\"%s\"", label(a, m->model), m->caller == HEALTH_TEAM ? "team" : "program");
}

static void write_calls(struct str *out, struct arena *a, struct health *h)
{
    pthread_mutex_lock(&h->lock);
    for (size_t k = 0; k < sizeof counters / sizeof *counters; k++) {
        family(out, counters[k].name, "counter", counters[k].help);
        for (size_t i = 0; i < h->model_count; i++)
            str_addf(out, "tandem_%s{%s} %llu\n", counters[k].name, labels_of(a, &h->models[i]),
                     (unsigned long long)*(const uint64_t *)((const char *)&h->models[i] + counters[k].offset));
    }
    for (size_t k = 0; k < sizeof histograms / sizeof *histograms; k++) {
        family(out, histograms[k].name, "histogram", histograms[k].help);
        for (size_t i = 0; i < h->model_count; i++)
            write_histogram(out, histograms[k].name, labels_of(a, &h->models[i]),
                            (const struct health_histogram *)((const char *)&h->models[i] + histograms[k].offset));
    }
    pthread_mutex_unlock(&h->lock);
}

static void counter(struct str *out, const char *name, const char *help, uint64_t value)
{
    family(out, name, "counter", help);
    str_addf(out, "tandem_%s %llu\n", name, (unsigned long long)value);
}

static void gauge(struct str *out, const char *name, const char *help, int64_t value)
{
    family(out, name, "gauge", help);
    str_addf(out, "tandem_%s %lld\n", name, (long long)value);
}

/* A model may have several instances of one version at a time, while a change is rolled in: so its
 * figures are sums. */
static bool is_named_before(const struct manager_picture *p, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (streq(p->instances[i].model, p->instances[at].model))
            return true;
    return false;
}

static int64_t sum_of(const struct manager_picture *p, const char *model, size_t offset)
{
    int64_t sum = 0;
    for (size_t i = 0; i < p->count; i++)
        if (streq(p->instances[i].model, model))
            sum += *(const int64_t *)((const char *)&p->instances[i] + offset);
    return sum;
}

static void write_states(struct str *out, struct arena *a, const struct manager_picture *p)
{
    family(out, "model_state", "gauge", "Instances in each state.");
    for (size_t i = 0; i < p->count; i++) {
        if (is_named_before(p, i))
            continue;
        for (int life = 0; life < LIFE_COUNT; life++) {
            int64_t count = 0;
            for (size_t k = i; k < p->count; k++)
                count += streq(p->instances[k].model, p->instances[i].model) && (int)p->instances[k].life == life;
            str_addf(out, "tandem_model_state{model=\"%s\",state=\"%s\"} %lld\n", label(a, p->instances[i].model), life_names[life],
                     (long long)count);
        }
    }
}

static void write_slots(struct str *out, struct arena *a, const struct manager_picture *p)
{
    family(out, "model_slots", "gauge", "Slots that are free or busy.");
    for (size_t i = 0; i < p->count; i++) {
        int64_t count[2] = { 0 };
        if (is_named_before(p, i))
            continue;
        for (size_t k = i; k < p->count; k++)
            for (size_t slot = 0; streq(p->instances[k].model, p->instances[i].model) && slot < p->instances[k].slot_count; slot++)
                count[p->instances[k].slots[slot].busy]++;
        for (int busy = 0; busy < 2; busy++)
            str_addf(out, "tandem_model_slots{model=\"%s\",is=\"%s\"} %lld\n", label(a, p->instances[i].model), busy ? "busy" : "free",
                     (long long)count[busy]);
    }
}

static void write_instances(struct str *out, struct arena *a, const struct manager_picture *p)
{
    static const struct {
        const char *name, *type, *help;
        size_t offset;
    } sums[] = {
        { "model_in_flight", "gauge", "Calls under way.", offsetof(struct manager_instance, in_flight) },
        { "model_waiting", "gauge", "Calls that wait for a slot.", offsetof(struct manager_instance, waiting) },
        { "model_crashes", "gauge", "Crashes of instances that are there.", offsetof(struct manager_instance, crashes) },
        { "model_memory_mib", "gauge", "Memory reserved.", offsetof(struct manager_instance, ram_mib) },
        { "model_vram_mib", "gauge", "GPU memory reserved.", offsetof(struct manager_instance, vram_mib) },
    };
    write_states(out, a, p);
    write_slots(out, a, p);
    for (size_t k = 0; k < sizeof sums / sizeof *sums; k++) {
        family(out, sums[k].name, sums[k].type, sums[k].help);
        for (size_t i = 0; i < p->count; i++)
            if (!is_named_before(p, i))
                str_addf(out, "tandem_%s{model=\"%s\"} %lld\n", sums[k].name, label(a, p->instances[i].model),
                         (long long)sum_of(p, p->instances[i].model, sums[k].offset));
    }
    gauge(out, "memory_limit_mib", "Memory for models.", p->room.ram_mib);
    gauge(out, "memory_reserved_mib", "Of it, reserved.", p->ram_mib);
    gauge(out, "vram_limit_mib", "GPU memory for models; 0: not counted.", p->room.vram_mib);
    gauge(out, "vram_reserved_mib", "Of it, reserved.", p->vram_mib);
}

/* ---- keys ---- */

static const struct {
    const char *name, *type, *help;
    size_t offset;
} key_figures[] = {
    { "key_requests_total", "counter", "Requests with this key.", offsetof(struct keyring_use, requests) },
    { "key_turned_away_total", "counter", "Of them, turned away by its limits.", offsetof(struct keyring_use, turned_away) },
    { "key_tokens_total", "counter", "Tokens read and written.", offsetof(struct keyring_use, tokens) },
    { "key_running", "gauge", "Its calls under way.", offsetof(struct keyring_use, running) },
};

/* The first HEALTH_KEYS by name; the others as one. */
static void write_keys(struct str *out, struct arena *a, struct keyring *keys)
{
    struct keyring_use *uses;
    uint64_t unknown;
    size_t count = keyring_look(keys, a, &uses, &unknown);
    for (size_t k = 0; k < sizeof key_figures / sizeof *key_figures; k++) {
        uint64_t others = 0;
        family(out, key_figures[k].name, key_figures[k].type, key_figures[k].help);
        for (size_t i = 0; i < count; i++) {
            uint64_t value = *(const uint64_t *)((const char *)&uses[i] + key_figures[k].offset);
            if (i < HEALTH_KEYS)
                str_addf(out, "tandem_%s{key=\"%s\"} %llu\n", key_figures[k].name, label(a, uses[i].name), (unsigned long long)value);
            else
                others += value;
        }
        if (count > HEALTH_KEYS)
            str_addf(out, "tandem_%s{key=\"(others)\"} %llu\n", key_figures[k].name, (unsigned long long)others);
    }
    gauge(out, "keys", "Keys that there are.", (int64_t)count);
    counter(out, "unauthorized_total", "Requests refused for want of a key that holds.", unknown);
}

static void write_server(struct str *out, struct http_server *server)
{
    struct http_counters c;
    http_server_count(server, &c);
    counter(out, "http_connections_total", "Connections taken.", c.connections);
    counter(out, "http_requests_total", "Requests taken.", c.requests);
    counter(out, "http_refused_total", "Malformed requests, refused.", c.refused);
    counter(out, "http_turned_away_total", "Requests turned away by a limit.", c.turned_away);
    counter(out, "http_timed_out_total", "Heads, bodies and answers that took too long.", c.timed_out);
    counter(out, "http_broken_total", "Requests that ended before their answer.", c.broken);
    gauge(out, "http_connections", "Connections open.", (int64_t)c.open_connections);
    gauge(out, "http_running", "Requests under way.", (int64_t)c.running);
    gauge(out, "http_waiting", "Requests that wait for a worker.", (int64_t)c.waiting);
}

static void write_process(struct str *out)
{
    long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%*d %lld", &pages) == 1)
        gauge(out, "process_resident_bytes", "Memory of this process; its models are others.", pages * sysconf(_SC_PAGESIZE));
    if (f)
        fclose(f);
    family(out, "info", "gauge", "The version.");
    str_addf(out, "tandem_info{version=\"%s\"} 1\n", TANDEM_VERSION);
}

/* ---- handlers ---- */

int health_allow(struct http_exchange *x, void *ctx, struct err *e)
{
    const struct health *h = ctx;
    return keyring_allow(h->keys, x, false, e);
}

static int metrics(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)e;
    struct health *h = ctx;
    struct manager_picture picture;
    STR_LOCAL(out);
    manager_look(h->manager, x->arena, &picture);
    write_instances(&out, x->arena, &picture);
    write_calls(&out, x->arena, h);
    if (h->keys)
        write_keys(&out, x->arena, h->keys);
    if (h->server)
        write_server(&out, h->server);
    write_process(&out);
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
