/* desk.c - wishes on their way to an office, here or behind the home's socket. */
#include "cli/desk.h"

#include "base/json.h"
#include "base/str.h"
#include "cli/server.h"
#include "http/sse.h"
#include "web/office_api.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

static const char api_key_name[] = "TANDEM_API_KEY";

static struct office_caller caller_of(struct session *s)
{
    return (struct office_caller){ .person = s->person ? s->person : session_login(&s->in->arena), .cancel = &session_interrupted };
}

/* ---- to a server ---- */

/* What this invocation says of settings, but for those that the server's own process has. */
static struct texts settings_said(struct session *s)
{
    const struct settings *set = &s->in->settings;
    struct texts said = { 0 };
    size_t count;
    const struct setting *rows = setting_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (streq(set->from[i], "default") || !office_setting_travels(rows[i].name))
            continue;
        STR_LOCAL(value);
        setting_format(&rows[i], set, &value);
        texts_add(&said, &s->in->arena, arena_printf(&s->in->arena, "%s=%s", rows[i].name, value.data));
    }
    return said;
}

/* `word`: an id of the wish; "": it may be fulfilled as often as it is said. */
static json_t *envelope(struct session *s, const char *word, const struct record *record, const void *wish)
{
    const char *key = getenv(api_key_name);
    struct office_envelope sent = { .person = caller_of(s).person, .settings = settings_said(s), .api_key = key ? key : "", .word = word,
                                    .wish = json_keep(&s->in->arena, record_write(record, wish)) };
    return record_write(&office_envelope_record, &sent);
}

static int do_there(struct session *s, const struct office_verb *v, const char *word, const void *wish, void *answer, struct err *e)
{
    json_t *value;
    const char *path = arena_printf(&s->in->arena, "/tandem/projects/%s", v->name);
    int r = server_ask(s, "POST", path, envelope(s, word, v->wish, wish), &value, e);
    return r < 0 ? r : record_read(v->answer, &s->in->arena, value, answer, e);
}

static int do_here(struct session *s, const struct office_verb *v, const char *word, const void *wish, void *answer, struct err *e)
{
    struct office_caller c = caller_of(s);
    c.word = word;
    int r = session_office(s, e);
    return r < 0 ? r : office_do(s->office, v, &c, &s->in->arena, wish, answer, e);
}

static const char *new_word(struct arena *a)
{
    uint64_t random[2];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        abort(); /* so few bytes it gives at once, or never */
    return arena_printf(a, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
}

int desk_do(struct session *s, const struct office_verb *v, const void *wish, void *answer, struct err *e)
{
    const char *word = new_word(&s->in->arena);
    int r = record_check_utf8(v->wish, wish, e);
    for (int holders = 0; r == 0 && holders < SESSION_HOLDERS; holders++) {
        r = (s->server ? do_there : do_here)(s, v, word, wish, answer, e);
        if (r != ERR_GONE)
            return r;
        r = session_open_again(s, e);
    }
    /* Not ERR_GONE: a command that began anew would say it under another word. */
    return r < 0 ? r : err_set(e, ERR_UNAVAILABLE, "%d processes that had the home ended before they did it; nothing is lost", SESSION_HOLDERS);
}

/* ---- a sitting at a server ---- */

struct watching {
    struct session *session;
    const struct desk_watcher *watcher;
    struct office_ended *ret;
    struct sse_reader reader;
    bool ended, broken;
    struct err err; /* what ended it; code 0: nothing */
};

static void read_pulse(struct watching *w, struct arena *a, const struct sse_event *event, const json_t *value)
{
    const struct team_watcher *team = &w->watcher->team;
    struct office_pulse p;
    if (record_read(&office_pulse_record, a, value, &p, NULL) < 0)
        return;
    const struct pulse pulse = { p.project, p.ticket, p.role, p.step, p.attempt };
    if (streq(event->type, "text"))
        team->text(&pulse, p.text, strlen(p.text), team->ctx);
    else if (streq(event->type, "moved"))
        team->moved(&pulse, p.begun, team->ctx);
}

static bool on_event(const struct sse_event *event, void *ctx)
{
    struct watching *w = ctx;
    ARENA_LOCAL(a);
    json_t *value;
    if (json_parse(&a, event->data, event->len, &value, NULL) < 0)
        return true;
    *w->watcher->goes_on = true;
    if (streq(event->type, "ended"))
        w->ended = record_read(&office_ended_record, &w->session->in->arena, value, w->ret, &w->err) == 0;
    else if (streq(event->type, "joined"))
        w->watcher->joined(json_text_of(value, "left_out", ""), w->watcher->ctx);
    else if (streq(event->type, "failed"))
        w->ended = server_error(value, 0, &w->err) < 0;
    else
        read_pulse(w, &a, event, value);
    return true;
}

static bool on_body(const char *bytes, size_t len, void *ctx)
{
    struct watching *w = ctx;
    w->broken = sse_feed(&w->reader, bytes, len) != SSE_MORE;
    return !w->broken;
}

static int sit_there(struct session *s, const struct office_sitting *wish, const struct desk_watcher *watcher,
                     struct office_ended *ret, struct err *e)
{
    struct watching w = { .session = s, .watcher = watcher, .ret = ret };
    sse_init(&w.reader, OFFICE_MAX_EVENT, on_event, &w);
    int r = server_stream(s, "/tandem/sittings", envelope(s, "", &office_sitting_record, wish), on_body, &w, e);
    sse_release(&w.reader);
    if (w.ended && w.err.code < 0) {
        *e = w.err;
        return w.err.code;
    }
    if (w.ended)
        return 0;
    if (atomic_load(&session_interrupted)) {
        *ret = (struct office_ended){ .end = TEAM_STOPPED, .notes = "" };
        return 0;
    }
    if (w.broken)
        return err_set(e, ERR_FAILED, "the process that has the home sent what makes no sense; is it another version of Tandem?");
    return r < 0 ? r : err_set(e, ERR_GONE, "the process that had the home has ended; nothing is lost");
}

/* ---- a sitting here ---- */

static int sit_here(struct session *s, const struct office_sitting *w, const struct desk_watcher *watcher, struct office_ended *ret,
                    struct err *e)
{
    struct office_seat *seat;
    struct office_caller c = caller_of(s);
    int r = session_office(s, e);
    if (r == 0)
        r = office_sit(s->office, w, &c, &watcher->team, &seat, e);
    if (r < 0)
        return r;
    const char *left_out;
    if (office_joined(seat, &left_out))
        watcher->joined(left_out, watcher->ctx);
    while (!office_wait(seat, OFFICE_LOOK_MS) && !atomic_load(&session_interrupted))
        ;
    return office_leave(seat, &s->in->arena, ret, e);
}

int desk_sit(struct session *s, const struct office_sitting *w, const struct desk_watcher *watcher, struct office_ended *ret,
             struct err *e)
{
    return s->server ? sit_there(s, w, watcher, ret, e) : sit_here(s, w, watcher, ret, e);
}
