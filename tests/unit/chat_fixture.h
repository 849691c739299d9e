/* chat_fixture.h - a model behind the fake upstream, and what a test says to both. */
#ifndef TANDEM_TESTS_CHAT_FIXTURE_H
#define TANDEM_TESTS_CHAT_FIXTURE_H

#include "upstream.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "model/chat.h"

#define CHAT "/v1/chat/completions"

struct fixture {
    struct upstream *server;
    struct model *model;
    struct model_options options;
    struct arena arena;
    struct chat_answer answer;
    struct str seen; /* what on_text showed */
    int starts_over;
    struct err err;
};

int chat_set_up(void **state);
int chat_tear_down(void **state);
#define CHAT_TEST(name) cmocka_unit_test_setup_teardown(name, chat_set_up, chat_tear_down)

struct verdict {
    const char *text;
};
extern const struct record verdict_record;

/* Opens the model by f->options at the first call, and asks it; the answer is in f->answer,
 * what on_text saw in f->seen. */
int ask_with(struct fixture *f, struct chat_request q);
int ask(struct fixture *f);

/* Scripts the next reply to a chat: anything, events, a whole answer. */
void reply(struct fixture *f, struct upstream_reply r);
void reply_events(struct fixture *f, const char *body);
void reply_text(struct fixture *f, const char *text);
/* Makes the server list one model. */
void list_model(struct fixture *f, const char *id);
/* The body of the n-th chat request. */
json_t *request_body(struct fixture *f, size_t n);

#endif
