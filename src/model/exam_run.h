/* model/exam_run.h - what the parts of an exam under way share (internal to the exam). */
#ifndef TANDEM_MODEL_EXAM_RUN_H
#define TANDEM_MODEL_EXAM_RUN_H

#include "base/arena.h"
#include "base/err.h"
#include "model/exam.h"

enum exam_kind { EXAM_WARM, EXAM_SPEED, EXAM_FORM, EXAM_FILES, EXAM_BLOCKS, EXAM_ESSAY, EXAM_NEEDLE, EXAM_KINDS };

/* One step; tokens are those that are expected. */
struct exam_step {
    enum exam_kind kind;
    size_t nth;            /* of its kind, from 0 */
    int64_t prompt, answer;
    int64_t calls;         /* EXAM_SPEED */
    int64_t depth;         /* EXAM_NEEDLE */
};

struct exam_sitting {
    const struct exam_wish *wish;
    struct arena *arena;
    struct exam_card card;
    struct exam_step *steps;
    size_t step_count, step_cap;
    size_t of_kind[EXAM_KINDS], right[EXAM_KINDS], asked[EXAM_KINDS], left_out;
    struct exam_needle *needles;
    size_t needle_count, needle_cap;
    struct exam_speed *speeds;
    size_t speed_count, speed_cap;
    int64_t longest;       /* prompt planned */
    double real_tokens;    /* for each that was estimated */
    int64_t begun_ms;
};

/* A question's answer is the caller's to release.  Counts its tokens. */
int exam_ask(struct exam_sitting *x, const char *instruction, const char *question, const struct record *schema, int64_t max_tokens,
             double temperature, struct chat_answer *ret, struct err *e);
void exam_count(struct exam_sitting *x, const struct chat_answer *a);
/* Asks as often at once as the step says, and adds a row to the speeds (exam_speed.c). */
int exam_race(struct exam_sitting *x, const struct exam_step *step, struct err *e);

#endif
