/* chat_fixture.c - see the header. */
#include "chat_fixture.h"
#include "check.h"

#include <stdlib.h>

static const struct field verdict_fields[] = { FIELD(struct verdict, text, FIELD_TEXT, .required = true) };
const struct record verdict_record = RECORD("verdict", struct verdict, verdict_fields);

int chat_set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e;
    unsetenv("TANDEM_API_KEY");
    f->server = upstream_start();
    check_ok(model_options_parse(upstream_url(f->server), &f->arena, &f->options, &e), &e);
    f->options.patience_ms = 2000;
    f->options.refused_patience_ms = 300;
    str_init(&f->seen);
    *state = f;
    return 0;
}

int chat_tear_down(void **state)
{
    struct fixture *f = *state;
    model_free(f->model);
    upstream_stop(f->server);
    chat_answer_release(&f->answer);
    str_release(&f->seen);
    arena_release(&f->arena);
    free(f);
    return 0;
}

static void show(const char *text, size_t len, void *ctx)
{
    struct fixture *f = ctx;
    if (text) {
        str_add_bytes(&f->seen, text, len);
    } else {
        str_clear(&f->seen);
        f->starts_over++;
    }
}

int ask_with(struct fixture *f, struct chat_request q)
{
    static const struct chat_message messages[] = { { CHAT_SYSTEM, "You test." },
                                                    { CHAT_USER, "Write \xC3\xA4 test.\n" } };
    if (!f->model)
        check_ok(model_open(&f->model, &f->options, &f->err), &f->err);
    if (!q.messages) {
        q.messages = messages;
        q.message_count = 2;
    }
    q.key = (struct call_key){ "T-1", "tester", "red-1", 1 };
    q.on_text = show;
    q.ctx = f;
    chat_answer_release(&f->answer);
    f->starts_over = 0;
    str_clear(&f->seen);
    return model_chat(f->model, &q, &f->answer, &f->err);
}

int ask(struct fixture *f)
{
    return ask_with(f, (struct chat_request){ .seed = 7, .temperature = 0.25, .max_tokens = 500 });
}

void reply(struct fixture *f, struct upstream_reply r)
{
    r.type = r.type ? r.type : "text/event-stream";
    upstream_on(f->server, CHAT, &r);
}

void reply_events(struct fixture *f, const char *body)
{
    reply(f, (struct upstream_reply){ .body = body });
}

void reply_text(struct fixture *f, const char *text)
{
    STR_LOCAL(body);
    upstream_answer(&body, text, "stop");
    reply_events(f, body.data);
}

void list_model(struct fixture *f, const char *id)
{
    STR_LOCAL(body);
    str_addf(&body, "{\"object\":\"list\",\"data\":[{\"id\":\"%s\"}]}", id);
    upstream_on(f->server, "/v1/models", &(struct upstream_reply){ .body = body.data });
}

json_t *request_body(struct fixture *f, size_t n)
{
    json_t *value = NULL;
    struct err e;
    const char *text = upstream_body(f->server, CHAT, n);
    check_ok(json_parse(&f->arena, text, strlen(text), &value, &e), &e);
    return value;
}
