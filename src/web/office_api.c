/* office_api.c - wishes as JSON, and sittings as streams. */
#include "web/office_api.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/setting.h"
#include "base/str.h"
#include "web/outbox.h"

#include <inttypes.h>
#include <unistd.h>

enum { MAX_BODY = 64 << 20, MAX_PERSON = 400, MAX_WORD = 64, HEARTBEAT_MS = 10000 };

static const struct field envelope_fields[] = {
    FIELD(struct office_envelope, person, FIELD_TEXT, .required = true, .max = MAX_PERSON, .doc = "who asks, as the log shall name them"),
    FIELD(struct office_envelope, settings, FIELD_TEXTS, .max = SETTING_MAX, .doc = "name=value, for this wish"),
    FIELD(struct office_envelope, api_key, FIELD_TEXT, .max = 4096, .doc = "for models that are named by their address"),
    FIELD(struct office_envelope, word, FIELD_TEXT, .max = MAX_WORD, .doc = "an id of this wish alone, by which it is known when it is said again"),
    FIELD(struct office_envelope, wish, FIELD_JSON, .required = true, .doc = "the record of what is asked"),
};
const struct record office_envelope_record = RECORD("envelope", struct office_envelope, envelope_fields);

static const struct field pulse_fields[] = {
    FIELD(struct office_pulse, project, FIELD_TEXT, .doc = "the project's id"),
    FIELD(struct office_pulse, ticket, FIELD_TEXT, .doc = "T-3, F-1; empty: the project itself"),
    FIELD(struct office_pulse, role, FIELD_TEXT, .doc = "who is at it"),
    FIELD(struct office_pulse, step, FIELD_TEXT, .doc = "the stage of the playbook"),
    FIELD(struct office_pulse, attempt, FIELD_INT, .doc = "of the task, from 1"),
    FIELD(struct office_pulse, begun, FIELD_BOOL, .doc = "it began; otherwise it has ended"),
    FIELD(struct office_pulse, text, FIELD_TEXT, .doc = "a piece of an answer or of a test run's output"),
};
const struct record office_pulse_record = RECORD("pulse", struct office_pulse, pulse_fields);

/* ---- a wish comes in ---- */

static int read_envelope(struct http_exchange *x, const struct record *wish_record, struct office_caller *ret, void *wish, struct err *e)
{
    json_t *value;
    struct office_envelope in;
    int r = json_parse(x->arena, x->body, x->body_len, &value, e);
    if (r == 0)
        r = record_read(&office_envelope_record, x->arena, value, &in, e);
    if (r == 0)
        r = record_read(wish_record, x->arena, in.wish, wish, e);
    if (r == 0)
        *ret = (struct office_caller){ .person = in.person, .settings = in.settings, .api_key = in.api_key,
                                       .word = *in.word ? in.word : NULL, .cancel = x->cancel };
    return r;
}

static const struct office_verb *find_verb(const char *name)
{
    for (size_t i = 0; office_verbs[i]; i++)
        if (streq(office_verbs[i]->name, name))
            return office_verbs[i];
    return NULL;
}

static int fulfil(struct http_exchange *x, void *ctx, struct err *e)
{
    struct office_api *api = ctx;
    struct office_caller caller;
    const struct office_verb *v = find_verb(http_param(x, "verb"));
    if (!v)
        return err_set(e, ERR_NOT_FOUND, "nobody can \"%.60s\" a project", http_param(x, "verb"));
    void *wish = arena_alloc(x->arena, v->wish->size), *answer = arena_alloc(x->arena, v->answer->size);
    int r = read_envelope(x, v->wish, &caller, wish, e);
    if (r == 0)
        r = office_do(api->office, v, &caller, x->arena, wish, answer, e);
    if (r == 0)
        http_answer_json(x, 200, json_keep(x->arena, record_write(v->answer, answer)));
    return r;
}

/* ---- a sitting, as it goes on ---- */

/* One who looks. */
struct look {
    struct outbox outbox;
    int64_t sent_ms; /* steady */
};

/* A comment now and then shows a client that waits that we are there. */
static int send_all(struct look *l, struct http_stream *stream, struct err *e)
{
    STR_LOCAL(sent);
    int r = outbox_take(&l->outbox, &sent, e);
    if (r < 0)
        return r;
    if (!sent.len && clock_steady_ms() - l->sent_ms >= HEARTBEAT_MS)
        str_add(&sent, ":\n\n");
    if (sent.len)
        l->sent_ms = clock_steady_ms();
    return sent.len ? http_stream_write(stream, sent.data, sent.len, e) : 0;
}

static void send_end(struct http_exchange *x, struct http_stream *stream, int code, const struct err *why, const struct office_ended *ended)
{
    json_t *value = json_keep(x->arena, json_object());
    if (code < 0) {
        json_t *error = json_object();
        json_put_text(error, "code", err_name(code));
        json_put_text(error, "message", why->text);
        json_put(value, "error", error);
    } else {
        value = json_keep(x->arena, record_write(&office_ended_record, ended));
    }
    STR_LOCAL(text);
    json_write(&text, value);
    if (http_stream_event(stream, code < 0 ? "failed" : "ended", text.data, text.len, NULL) == 0)
        http_stream_end(stream);
}

static int send_joined(struct http_exchange *x, struct http_stream *stream, const struct office_seat *seat)
{
    const char *left_out;
    if (!office_joined(seat, &left_out))
        return 0;
    json_t *value = json_keep(x->arena, json_object());
    json_put_text(value, "left_out", left_out);
    STR_LOCAL(text);
    json_write(&text, value);
    return http_stream_event(stream, "joined", text.data, text.len, NULL);
}

/* Until its end, or until the client or the server leaves. */
static void watch(struct office *office, struct http_exchange *x, struct look *l, struct office_seat *seat)
{
    struct err why;
    struct office_ended ended;
    struct http_stream *stream = http_stream_begin(x, 200, "text/event-stream");
    bool over = false;
    int r = send_joined(x, stream, seat);
    for (; r == 0 && !over && !atomic_load(x->cancel) && !office_is_shut(office);) {
        over = office_wait(seat, OFFICE_LOOK_MS);
        r = send_all(l, stream, NULL);
    }
    r = office_leave(seat, x->arena, &ended, &why);
    if (!over)
        return; /* nobody is told: the client left, or looks for another server */
    send_all(l, stream, NULL);
    send_end(x, stream, r, &why, &ended);
}

static int work(struct office_api *api, struct http_exchange *x, struct err *e)
{
    struct office_caller caller;
    struct office_sitting wish;
    struct office_seat *seat;
    struct look look = { .sent_ms = 0 };
    struct team_watcher watcher = { .text = outbox_text, .moved = outbox_moved, .ctx = &look.outbox };
    outbox_init(&look.outbox);
    int r = read_envelope(x, &office_sitting_record, &caller, &wish, e);
    if (r == 0)
        r = office_sit(api->office, &wish, &caller, &watcher, &seat, e);
    if (r == 0)
        watch(api->office, x, &look, seat);
    outbox_release(&look.outbox);
    return r;
}

/* Whoever looks has a worker until the end: some are left for others. */
static int sit(struct http_exchange *x, void *ctx, struct err *e)
{
    struct office_api *api = ctx;
    int r = atomic_fetch_add(&api->sittings, 1) < api->most_sittings ? work(api, x, e)
            : err_set(e, ERR_BUSY, "%" PRId64 " commands look at projects at work through this process, as many as it takes at once (setting "
                                   "http_workers=%" PRId64 "): end one, or raise that setting there; nothing is lost",
                      api->most_sittings, api->settings->http_workers);
    atomic_fetch_sub(&api->sittings, 1);
    return r;
}

/* ---- settings ---- */

static int show_settings(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)e;
    struct office_api *api = ctx;
    size_t count;
    const struct setting *rows = setting_table(&count);
    json_t *all = json_keep(x->arena, json_object());
    for (size_t i = 0; i < count; i++) {
        STR_LOCAL(value);
        setting_format(&rows[i], api->settings, &value);
        json_put_text(all, rows[i].name, value.data);
    }
    http_answer_json(x, 200, all);
    return 0;
}

static int show_home(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)e;
    struct office_api *api = ctx;
    json_t *home = json_keep(x->arena, json_object());
    json_put_text(home, "id", api->home_id);
    json_put_int(home, "pid", getpid());
    http_answer_json(x, 200, home);
    return 0;
}

static int show_sandbox(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)e;
    struct office_api *api = ctx;
    json_t *sandbox = json_keep(x->arena, json_object());
    json_put_text(sandbox, "unprotected", house_unprotected(office_house(api->office)));
    http_answer_json(x, 200, sandbox);
    return 0;
}

const struct http_route office_routes[] = {
    { "POST", "/tandem/projects/{verb}", fulfil, .permission = "home", .max_body = MAX_BODY, .doc = "says something to a project" },
    { "POST", "/tandem/sittings", sit, .permission = "home", .max_body = 1 << 20, .doc = "works on a project, and shows how" },
    { "GET", "/tandem/home", show_home, .permission = "home", .quick = true, .doc = "which home this is" },
    { "GET", "/tandem/sandbox", show_sandbox, .permission = "home", .doc = "what protects this machine from the code of projects" },
    { "GET", "/tandem/settings", show_settings, .permission = "home", .quick = true, .doc = "what the server began with" },
};
const size_t office_route_count = sizeof office_routes / sizeof *office_routes;
