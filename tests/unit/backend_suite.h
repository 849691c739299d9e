/* backend_suite.h - what every kind of backend must do (model/backend.h).
 *
 * Include check.h first.  A test program names its kinds, adds them and runs all in one group; it
 * then has nothing left to prove but what is particular to a kind.
 */
#ifndef TANDEM_TESTS_BACKEND_SUITE_H
#define TANDEM_TESTS_BACKEND_SUITE_H

#include "base/err.h"
#include "base/str.h"
#include "fake_process.h"
#include "model/chat.h"
#include "model/embed.h"

#include <pthread.h>

/* What a kind, or the server behind it, can.  A test is left out where something is missing. */
enum {
    CAN_SCRIPT = 1 << 0,  /* the fake is behind it: answers and faults are to order */
    CAN_EVENTS = 1 << 1,  /* answers come as server-sent events in OpenAI's form */
    CAN_SCHEMA = 1 << 2,  /* a schema that is asked for is honoured */
    CAN_REASON = 1 << 3,  /* reasoning comes apart */
    CAN_COUNT = 1 << 4,   /* tells the tokens of prompt and answer, */
    CAN_CACHE = 1 << 5,   /* and how many of the prompt's it knew already */
    CAN_SLOTS = 1 << 6,   /* a call can name its slot; there are two */
    CAN_LOAD = 1 << 7,    /* says 503 until its model is loaded */
    CAN_CONTEXT = 1 << 8, /* refuses a prompt that does not fit its context */
    CAN_EMBED = 1 << 9,   /* makes vectors */
    CAN_LIST = 1 << 10,   /* knows when it is asked for a model that it does not have */
    CAN_LINES = 1 << 11,  /* answers come as lines of JSON in Ollama's form */
};

struct backend_fixture;

struct backend_kind {
    const char *name; /* "llama-server on a Unix socket" */
    unsigned can;
    const char *chat_path, *embed_path; /* where requests arrive at the fake */
    int64_t context;  /* what model_describe shall tell; 0: anything */
    /* Starts its server, which plays the script in f->fake where it CAN_SCRIPT, and fills url and name of
     * f->options.  The room is made before and removed afterwards, and with it the fake. */
    void (*open)(struct backend_fixture *f);
    /* Ends the server, where it is not the fake; may be NULL. */
    void (*close)(struct backend_fixture *f);
};

struct backend_fixture {
    const struct backend_kind *kind;
    struct fake_process fake;
    bool is_open;
    struct model_options options; /* short patience; a test may change them before it asks */
    struct model *model;          /* opened by the first call */
    struct chat_answer answer;
    struct str seen;              /* what on_text showed */
    int pieces, starts_over;
    atomic_bool cancel;
    int64_t cancelled_us;
    int cancel_at_piece;          /* 0: never */
    pthread_t canceller;
    const char *cancel_path;
    size_t cancel_request;
    struct err err;
};

/* Replaces the script, with the kind's paths for CHAT and EMBED. */
void backend_script(struct backend_fixture *f, const char *yaml);
/* Starts the server if it is not running yet, opens the model if need be, and asks. */
int backend_ask(struct backend_fixture *f, struct chat_request q);
int backend_ask_text(struct backend_fixture *f, const char *prompt);
/* Opens only. */
struct model *backend_model(struct backend_fixture *f);
/* From a thread: sets f->cancel when the fake has got its n-th (from 0) request to that path. */
void backend_cancel_at(struct backend_fixture *f, const char *path, size_t n);
void backend_cancel_joined(struct backend_fixture *f);
/* Asks, and is cancelled in that way, or at cancel_at_piece; asserts ERR_CANCELLED. */
void backend_ask_and_cancel(struct backend_fixture *f, struct chat_request q, const char *path, size_t n);

struct backend_test {
    const char *name;
    unsigned needs;
    void (*run)(struct backend_fixture *f);
};
#define BACKEND_TEST(name, needs) { #name, (needs), name }

/* The parts. */
extern const struct backend_test backend_tests[], backend_fault_tests[], backend_line_tests[], backend_embed_tests[];
extern const size_t backend_test_count, backend_fault_test_count, backend_line_test_count, backend_embed_test_count;

struct backend_suite {
    struct CMUnitTest tests[400];
    size_t count;
};
/* Adds all that the kind can.  `kind` stays with the caller. */
void backend_suite_add(struct backend_suite *s, const struct backend_kind *kind);
/* Returns the number of tests that failed. */
int backend_suite_run(struct backend_suite *s);

#endif
