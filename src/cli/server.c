/* server.c - the commands' side of web/home_api.h. */
#include "cli/server.h"

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "http/client.h"
#include "os/runtime.h"

#include <unistd.h>

enum { CONNECT_MS = 2000, MAX_ANSWER = 16 << 20 };

static bool answers(struct session *s, const char *path)
{
    STR_LOCAL(body);
    struct http_result h;
    struct http_request q = { .method = "GET", .url = arena_printf(&s->in->arena, "http://localhost%s", path), .unix_socket = s->server,
                              .connect_ms = CONNECT_MS, .total_ms = CONNECT_MS };
    return access(s->server, F_OK) == 0 && http_ask(&q, &h, &body, NULL) == 0 && h.status == 200;
}

bool server_runs(struct session *s)
{
    const char *dir;
    if (runtime_dir(&s->in->arena, s->home, false, &dir, NULL) < 0)
        return false;
    s->server = arena_printf(&s->in->arena, "%s/tandem.sock", dir);
    if (answers(s, "/tandem/settings"))
        return true;
    s->server = NULL;
    return false;
}

bool server_is_for_good(struct session *s)
{
    return answers(s, "/healthz");
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
    int r = http_ask(q, &h, answer, e);
    if (r < 0)
        return r == ERR_CANCELLED ? err_set(e, r, "stopped") : r;
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
    struct http_request q = { .method = "POST", .max_body = SIZE_MAX, .on_body = on_body, .ctx = ctx };
    return request(s, &q, path, body, &refusal, e);
}
