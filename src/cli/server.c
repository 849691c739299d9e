/* server.c - the commands' side of web/home_api.h. */
#include "cli/server.h"

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "http/client.h"
#include "os/runtime.h"

#include <unistd.h>

enum { CONNECT_MS = 2000, MAX_ANSWER = 16 << 20 };

bool server_runs(struct session *s)
{
    const char *dir;
    if (runtime_dir(&s->in->arena, s->home, false, &dir, NULL) < 0)
        return false;
    s->server = arena_printf(&s->in->arena, "%s/tandem.sock", dir);
    STR_LOCAL(body);
    struct http_result h;
    struct http_request q = { .method = "GET", .url = "http://localhost/healthz", .unix_socket = s->server, .connect_ms = CONNECT_MS,
                              .total_ms = CONNECT_MS };
    if (access(s->server, F_OK) == 0 && http_ask(&q, &h, &body, NULL) == 0 && h.status == 200)
        return true;
    s->server = NULL;
    return false;
}

int session_open_or_ask(struct session *s, struct invocation *in, struct err *e)
{
    int r = session_open(s, in, e);
    if (r != ERR_BUSY || !server_runs(s))
        return r;
    const char *server = s->server;
    session_close(s);
    r = session_look(s, in, e);
    s->server = server;
    return r;
}

/* The codes that home_api's errors carry (http/server.h says which status is which). */
static int code_of(int status)
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

int server_ask(struct session *s, const char *method, const char *path, json_t *body, json_t **ret, struct err *e)
{
    STR_LOCAL(sent);
    STR_LOCAL(answer);
    struct http_result h;
    json_t *value = NULL;
    static const char *const headers[] = { "Content-Type: application/json", NULL };
    if (body)
        json_write(&sent, body);
    json_decref(body);
    struct http_request q = { .method = method, .url = arena_printf(&s->in->arena, "http://localhost%s", path), .unix_socket = s->server,
                              .headers = sent.len ? headers : NULL, .body = sent.len ? sent.data : NULL, .body_len = sent.len, .connect_ms = CONNECT_MS,
                              .max_body = MAX_ANSWER, .cancel = &session_interrupted };
    int r = http_ask(&q, &h, &answer, e);
    if (r < 0)
        return r == ERR_CANCELLED ? err_set(e, r, "stopped") : r;
    json_parse(&s->in->arena, answer.data, answer.len, &value, NULL);
    if (h.status / 100 != 2)
        return err_set(e, code_of(h.status), "%s", json_text_of(json_object_get(value, "error"), "message", "the server of this home failed"));
    *ret = value;
    return 0;
}
