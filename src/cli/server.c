/* server.c - the commands' side of web/home_api.h and web/office_api.h. */
#include "cli/server.h"

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "http/client.h"
#include "os/files.h"
#include "os/runtime.h"

#include <unistd.h>

enum { CONNECT_MS = 2000, MAX_ANSWER = 16 << 20, SILENCE_MS = 35000, MAX_PLACE = 200 };

static bool answers(struct session *s, const char *socket, const char *path, struct str *body)
{
    struct http_result h;
    struct http_request q = { .method = "GET", .url = arena_printf(&s->in->arena, "http://localhost%s", path), .unix_socket = socket,
                              .connect_ms = CONNECT_MS, .total_ms = CONNECT_MS, .once = true };
    return access(socket, F_OK) == 0 && http_ask(&q, &h, body, NULL) == 0 && h.status == 200;
}

/* A home that was copied names the socket of the one it was copied from. */
static bool serves_this_home(struct session *s, const char *socket)
{
    STR_LOCAL(body);
    json_t *about;
    return answers(s, socket, "/tandem/home", &body) && json_parse(&s->in->arena, body.data, body.len, &about, NULL) == 0 &&
           streq(json_text_of(about, "id", ""), home_identity(&s->in->arena, s->home));
}

bool server_runs(struct session *s)
{
    struct arena *a = &s->in->arena;
    const char *dir, *places[2] = { NULL, NULL };
    STR_LOCAL(said);
    s->server = NULL;
    if (runtime_dir(a, s->home, false, &dir, NULL) == 0)
        places[0] = arena_printf(a, "%s/tandem.sock", dir);
    if (file_read_path(arena_printf(a, "%s/" SERVER_PLACE, s->home), MAX_PLACE, &said, NULL) == 0)
        places[1] = arena_strndup(a, said.data, strcspn(said.data, "\n"));
    for (size_t i = 0; i < 2 && !s->server; i++)
        if (places[i] && serves_this_home(s, places[i]))
            s->server = places[i];
    return s->server;
}

bool server_is_for_good(struct session *s)
{
    STR_LOCAL(body);
    return answers(s, s->server, "/healthz", &body);
}

/* Without a word of ours: what http/server.h makes of errors, backwards. */
static int code_of_status(int status)
{
    switch (status) {
    case 400: return ERR_INVALID;
    case 403: return ERR_REFUSED;
    case 404: return ERR_NOT_FOUND;
    case 409: return ERR_CONFLICT;
    case 429: return ERR_BUSY;
    default: return ERR_FAILED;
    }
}

int server_error(const json_t *answer, int status, struct err *e)
{
    const json_t *error = json_object_get(answer, "error");
    const char *code = json_text_of(error, "code", "");
    return err_set(e, *code ? err_of_name(code) : code_of_status(status), "%s",
                   json_text_of(error, "message", "the server of this home failed"));
}

static int request(struct session *s, struct http_request *q, const char *path, json_t *body, struct str *answer, struct err *e)
{
    static const char *const headers[] = { "Content-Type: application/json", NULL };
    STR_LOCAL(sent);
    struct http_result h;
    json_t *value = NULL;
    if (body)
        json_write(&sent, body);
    json_decref(body);
    q->url = arena_printf(&s->in->arena, "http://localhost%s", path);
    q->unix_socket = s->server;
    q->headers = sent.len ? headers : NULL;
    q->body = sent.len ? sent.data : NULL;
    q->body_len = sent.len;
    q->connect_ms = CONNECT_MS;
    q->cancel = &session_interrupted;
    q->once = true;
    int r = http_ask(q, &h, answer, e);
    if (r == ERR_CANCELLED)
        return err_set(e, r, "stopped");
    if (r < 0) /* whatever it was: it has not answered */
        return r == ERR_LIMIT || r == ERR_INVALID ? r : err_set(e, ERR_GONE, "the process that had the home has ended; nothing is lost");
    if (h.status / 100 == 2)
        return 0;
    json_parse(&s->in->arena, answer->data, answer->len, &value, NULL);
    return server_error(value, h.status, e);
}

int server_ask(struct session *s, const char *method, const char *path, json_t *body, json_t **ret, struct err *e)
{
    STR_LOCAL(answer);
    struct http_request q = { .method = method, .max_body = MAX_ANSWER };
    *ret = NULL;
    int r = request(s, &q, path, body, &answer, e);
    return r < 0 || !answer.len ? r : json_parse(&s->in->arena, answer.data, answer.len, ret, e);
}

int server_stream(struct session *s, const char *path, json_t *body, bool (*on_body)(const char *bytes, size_t len, void *ctx),
                  void *ctx, struct err *e)
{
    STR_LOCAL(refusal);
    struct http_request q = { .method = "POST", .max_body = SIZE_MAX, .stall_ms = SILENCE_MS, .on_body = on_body, .ctx = ctx };
    return request(s, &q, path, body, &refusal, e);
}

/* ---- what its process has, and this one does not ---- */

static bool is_of_terminal(const char *name)
{
    return streq(name, "color") || streq(name, "unicode") || streq(name, "log") || streq(name, "nearby");
}

void server_warn_settings(struct session *s)
{
    const struct settings *set = &s->in->settings;
    size_t count;
    json_t *theirs = NULL;
    const struct setting *rows = setting_table(&count);
    for (size_t i = 0; s->server && !s->in->settings_told && i < count; i++) {
        if (streq(set->from[i], "default") || office_setting_travels(rows[i].name) || is_of_terminal(rows[i].name))
            continue;
        if (!theirs && server_ask(s, "GET", "/tandem/settings", NULL, &theirs, NULL) < 0)
            return;
        STR_LOCAL(value);
        setting_format(&rows[i], set, &value);
        const char *there = json_text_of(theirs, rows[i].name, "");
        if (!streq(there, value.data))
            fprintf(stderr, "tandem: warning: the server of this home has %s=%s; %s (%s) counts when it starts again\n", rows[i].name,
                    there, value.data, set->from[i]);
    }
    s->in->settings_told = true;
}

const char *server_unprotected(struct session *s)
{
    json_t *about;
    return server_ask(s, "GET", "/tandem/sandbox", NULL, &about, NULL) < 0 ? "" : json_text_of(about, "unprotected", "");
}
