/* fake.h - the parts of the fake model server; upstream.c says what it is for.
 *
 * One thread and one loop (upstream_http.c).  A request becomes an exchange; a pose (one of
 * upstream_llama.c, upstream_vllm.c, upstream_ollama.c) writes its reply as pieces with pauses,
 * which the loop plays.  What the script says wins over the pose.
 */
#ifndef TANDEM_TESTS_FAKE_H
#define TANDEM_TESTS_FAKE_H

#include "base/arena.h"
#include "base/record.h"
#include "base/str.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the script (upstream_script.c) ---- */

enum then { THEN_KEEP, THEN_CLOSE, THEN_RESET, THEN_HANG, THEN_CRASH, THEN_EXIT, THEN_GROW };
enum framing { FRAMING_CHUNKED, FRAMING_LENGTH, FRAMING_CLOSE };

/* What a request gets that is not what the pose would say.  The table in
 * upstream_script.c explains each member; the second group replaces the whole reply, the third
 * changes a model's answer. */
struct rule {
    const char *on, *has, *model;
    int64_t skip, times;
    int64_t after_ms;

    int64_t status;
    const char *type, *body;
    struct texts headers;
    bool raw, latin1;
    int framing;
    int64_t length, repeat, piece, pause_ms;

    const char *text, *reasoning, *finish;
    int64_t tokens_per_s, read_tokens_per_s;
    int64_t dones;
    bool no_usage, no_done;

    int64_t cut;
    int then;
    int64_t exit, grow_mib;
};

/* How a process lives until it is ready, and how it ends. */
struct life {
    const char *model;
    int64_t skip, times;
    int64_t listen_ms, load_ms;
    const char *says;
    int64_t exit;
    bool crash;
    int64_t most_context, most_gpu_layers;
    int64_t memory_mib;
    const char *calls_itself;
    int64_t context;
    bool ignore_term;
    int64_t term_ms;
};

struct script {
    struct records life, rules;
    struct texts models; /* of the poses that have several */
    const char *text, *version, *parameters;
    int64_t context, most_context, dimensions, tokens_per_s, read_tokens_per_s, parallel;
};

struct script_file;
struct script_file *script_open(const char *path); /* NULL: an empty script */
void script_close(struct script_file *f);
/* As the file is now.  What it gave out stays valid.  A wrong script ends the process with
 * status 2: a test must not go on with half of it. */
const struct script *script_now(struct script_file *f);
/* The rule for a request, counted; one without members when none fits. */
const struct rule *script_rule(struct script_file *f, const char *path, const char *model, const char *body);
/* The rule for this start of the model, which is the `start`-th; one without members. */
const struct life *script_life(struct script_file *f, const char *model, int64_t start);

/* ---- the log (upstream_log.c) ---- */

void log_open(const char *path); /* NULL: none */
/* A line of JSON: {"at_us": steady time, "pid": .., "kind": .., ...}; `more` is taken over, may
 * be NULL. */
void log_line(const char *kind, json_t *more);
/* How many lines of that kind are there already, of that model. */
int64_t log_count(const char *path, const char *kind, const char *model);

/* ---- exchanges (upstream_http.c) ---- */

struct piece {
    int64_t wait_us; /* before it, since the one before was sent */
    const char *bytes;
    size_t len;
    int64_t times;
};

struct exchange {
    struct fake *fake;
    struct arena arena;
    int64_t number; /* of the request, from 1 */
    const char *method, *path, *query, *head, *body;
    size_t body_len;
    json_t *json; /* the body; NULL: no JSON object */
    const struct rule *rule;

    struct piece *pieces;
    size_t count, cap;
    int64_t body_len_out; /* bytes of body among the pieces */
    bool has_head, is_cut, chunked;
    enum then then;

    int64_t slot;      /* -1: none is held */
    struct str holds;  /* what the slot holds afterwards */
    bool waits;         /* for a slot */
    int64_t delay_us;   /* before its headers, besides the rule's */
};

/* Begins a reply; `type` NULL: application/json.  The rule may say otherwise. */
void reply_head(struct exchange *x, int status, const char *type);
void reply_piece(struct exchange *x, int64_t wait_us, const char *bytes, size_t len);
void reply_end(struct exchange *x);
/* A whole reply; the value is taken over. */
void reply_json(struct exchange *x, int status, json_t *value);
/* Replies as the rule says, if it replaces the whole reply. */
bool reply_by_rule(struct exchange *x);

/* ---- the process (upstream.c) ---- */

struct fake;
struct pose {
    const char *name;
    /* Replies; false: it has to wait until an exchange ends. */
    bool (*serve)(struct exchange *x);
};
extern const struct pose pose_llama, pose_vllm, pose_ollama;

struct slot {
    bool busy;
    struct str holds;
    int64_t used_us;
};
enum { MAX_SLOTS = 64 };

struct fake {
    const struct pose *pose;
    struct script_file *script;
    const char *path;   /* of the Unix socket; NULL: TCP */
    int listener, port;
    const char *model;  /* its name */
    const char *file, *slot_dir, *api_key;
    int64_t context;    /* of one slot */
    int64_t slot_count;
    bool embeds;
    const struct life *life;
    bool ready;
    int64_t ready_us;   /* when it has loaded */
    volatile sig_atomic_t ending; /* SIGTERM came: replies stand still until their clients leave, */
    volatile int64_t end_us;      /* or until now */
    int64_t requests;
    struct slot slots[MAX_SLOTS];
};

/* The loop; returns when the process shall end. */
void http_run(struct fake *f);
/* Listens on f->path, or on 127.0.0.1 and prints "listening on http://127.0.0.1:PORT". */
bool http_listen(struct fake *f, int64_t port);

/* Called by the loop: the model is loaded; the reply was played or the client has left. */
void fake_loaded(struct fake *f);
void fake_done(struct exchange *x);
/* Ends the process in the way a rule wants. */
void fake_then(struct exchange *x);

/* ---- answers (upstream_answer.c) ---- */

struct answer {
    struct str text, reasoning;
    const char *finish;
    int64_t prompt_tokens, cached_tokens, completion_tokens;
    int64_t read_us; /* how long the prompt is read */
    double token_us;
};

/* About four bytes a token. */
int64_t token_count(size_t len);
/* The messages in one text, as a template would write them. */
void write_prompt(struct str *out, const json_t *messages);
/* Fits the answer into `room` tokens.  `schema` is a grammar when it is a string; NULL: text. */
void make_answer(struct exchange *x, const char *prompt, const json_t *schema, int64_t cached_tokens, int64_t room,
                 struct answer *ret);
void answer_release(struct answer *a);
/* Appends the plainest text that a grammar in GBNF allows; false: it is none (upstream_grammar.c). */
bool write_by_grammar(struct str *out, const char *grammar);
/* The end of the next token. */
size_t next_token(const char *text, size_t len, size_t at);
/* A vector of length 1 that depends on the text alone. */
json_t *make_vector(const char *text, int64_t dimensions);

/* Takes a free slot: the wanted one, else the one whose text begins most alike, else the one that
 * was not used for longest; false: none is free. */
bool slot_take(struct exchange *x, int64_t wanted, const char *prompt, int64_t *ret_cached_tokens);

/* "/v1/chat/completions" and "/v1/completions" of what is alike: streamed or whole. */
struct openai_style {
    bool timings; /* llama-server's */
    bool cached_figures;
    const char *reasoning_member;
};
void reply_openai(struct exchange *x, const struct openai_style *style, const struct answer *a, bool chat);
json_t *openai_vectors(struct exchange *x, json_t *inputs, int64_t dimensions);

#endif
