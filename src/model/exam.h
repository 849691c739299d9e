/* model/exam.h - what a model can do, measured: its report card.
 *
 * An exam asks a model some dozens of fixed questions and judges the answers with the code that
 * judges the team's: the parser and applier of files and edits (answer.h, edits.h), the reader of
 * JSON (record.h), the detector of loops.  Besides, facts hidden in long prompts are asked for, and
 * speed is measured with one to four calls at once.  The questions are part of the program, so that
 * cards of different models compare.
 *
 * The card is a document, id "MODEL/VERSION"; a new exam takes its place.  What each role needs is
 * one table (exam_roles).
 *
 * Judging is pure (exam_tasks.c, exam_card.c); asking is exam_run.c.  Threads: any.
 */
#ifndef TANDEM_MODEL_EXAM_H
#define TANDEM_MODEL_EXAM_H

#include "model/chat.h"
#include "store/store.h"

/* ---- the card ---- */

enum { EXAM_UNKNOWN = -1, EXAM_BLOCKS_ALLOWED = 75, EXAM_MOST_SLOTS = 4 };

struct exam_needle {
    int64_t tokens, depth; /* of the prompt; percent of it before the fact */
    bool found;
};
struct exam_speed {
    int64_t calls;         /* at once */
    double prompt, generation; /* tokens a second, of all together */
};
struct exam_card {
    const char *model;
    int64_t version, taken_ms, took_ms;
    bool quick;
    int64_t context;          /* tokens of a conversation, as it is served */
    int64_t usable_context;   /* the longest prompt tried at which, as at all shorter ones, two of three
                               * facts were found, or all of the context if that was the longest (95 %);
                               * 0: none; EXAM_UNKNOWN: not tried */
    int64_t files, blocks;    /* percent of small changes that came in the form asked for, and right */
    int64_t schema;           /* percent of answers that hold to their schema */
    int64_t steady;           /* percent of free texts that do not fall into a loop */
    struct records needles, speeds; /* struct exam_needle, struct exam_speed */
    int64_t load_ms;          /* from nothing to the first answer; 0: not known */
    int64_t memory_mib, vram_mib; /* memory: of its process, as the system counts it; else as reserved */
    int64_t prompt_tokens, completion_tokens; /* that the exam cost */
    struct texts faults;      /* what went wrong, a sentence each */
};
extern const struct record exam_card_record;
extern const struct doc_type exam_type;

const char *exam_id(struct arena *a, const char *model, int64_t version);
/* ERR_NOT_FOUND: this version of the model was not examined. */
int exam_load(struct store *s, struct arena *a, const char *model, int64_t version, struct exam_card *ret, struct err *e);
/* Takes the place of the card there was; one event. */
int exam_store(struct store *s, const struct exam_card *c, const char *person, struct err *e);

/* What a role needs of the model that serves it; 0: nothing. */
struct exam_role {
    const char *role;
    int64_t context;              /* tokens */
    int64_t files, schema, steady; /* percent */
};
extern const struct exam_role exam_roles[]; /* ended by a role NULL */
/* Appends what the card shows to be too little for the role, "usable context 512 of 8192"; nothing:
 * it can serve it. */
void exam_role_lacks(const struct exam_card *c, const struct exam_role *role, struct str *out);
/* Whether the model may be asked for search/replace blocks. */
bool exam_allows_blocks(const struct exam_card *c);

/* ---- judging ---- */

/* A small change of a file that has one right outcome. */
struct exam_change {
    const char *path, *before, *wish, *after;
};
extern const struct exam_change exam_changes[];
extern const size_t exam_change_count;
/* Whether an answer makes the change in the form asked for (`blocks`, else the whole file); else a
 * sentence in `e`, ERR_INVALID.  White space at the ends of lines and blank lines do not count. */
int exam_judge_change(const struct exam_change *c, bool blocks, const char *answer, size_t len, struct err *e);

struct exam_form {
    const char *question;
    const struct record *record;
};
extern const struct exam_form exam_forms[];
extern const size_t exam_form_count;
int exam_judge_form(const struct exam_form *f, const char *answer, size_t len, struct err *e);

extern const char *const exam_essays[];
extern const size_t exam_essay_count;
/* Whether a text runs in circles: its end repeats, or most of its lines are the same. */
bool exam_is_loop(const char *text, size_t len);

/* A text of about `tokens` tokens by the estimate of chat.h in which a fact, told by `number`, stands
 * at `depth` percent; the same text but for the fact for every depth. */
void exam_haystack(int64_t tokens, int64_t depth, int64_t number, struct str *out);
bool exam_found(int64_t number, const char *answer);
int64_t exam_usable(const struct exam_needle *needles, size_t count);

/* ---- asking ---- */

struct exam_progress {
    const char *step;      /* "schema, 2 of 6" */
    size_t done, all;      /* steps */
    int64_t left_ms;       /* EXAM_UNKNOWN: cannot be told yet */
};
struct exam_wish {
    struct model *model;   /* borrowed */
    const char *name;
    int64_t version, slots; /* so many calls at once at most */
    bool quick;            /* about a third of the questions */
    int64_t most_ms;       /* steps that would go beyond are left out, which the card says */
    const atomic_bool *cancel;
    void (*progress)(const struct exam_progress *p, void *ctx); /* may be NULL */
    void *ctx;
};
/* Fills the card but for load_ms and memory, with texts in the arena.  A question without an answer
 * counts as failed; ERR_CANCELLED, and errors by which no other question would do better (no such
 * model, not let in, not there), end the exam.  Tokens are bounded: each answer is. */
int exam_take(const struct exam_wish *w, struct arena *a, struct exam_card *ret, struct err *e);

#endif
