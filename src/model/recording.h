/* model/recording.h - conversations with models as files that people read and review.
 *
 * One file for each answered call, DIR/TICKET/ROLE/STEP.OCCURRENCE.txt ("project" for calls
 * without a ticket; bytes that are unusual in names as %XX), and DIR/models.txt, which
 * lists the models ("32768 name", in order of first use).  A file is
 *
 *     Tandem recording 1
 *     model: qwen2.5-coder-7b
 *     finish: stop
 *     temperature: 0.2
 *     seed: 7
 *     max tokens: 2048
 *     prompt tokens: 1204
 *     cached tokens: 800
 *     answer tokens: 310
 *
 *     ======== 2 messages as in red-1.1
 *     ======== user
 *     The tests did not fail:
 *     ...
 *     ======== answer (no final newline)
 *     ### tests/test_units.py
 *     ...
 *
 * Messages come in the order they were sent, then what the model thought ("reasoning"),
 * then its answer.  Messages that the previous call of the same ticket and role began with
 * as well are not repeated, so a conversation costs its length and not its square.  A line
 * of text that would look like a mark (backslashes, then "========") gets one backslash
 * more in front.  Nothing that changes from run to run is kept: no times, no durations.
 *
 * Threads: any.
 */
#ifndef TANDEM_MODEL_RECORDING_H
#define TANDEM_MODEL_RECORDING_H

#include "model/chat.h"

struct recorded {
    const char *as_in;   /* the call (without ".txt") whose first messages come first, or NULL */
    size_t as_in_count;
    struct chat_message *messages; /* those in the file itself */
    size_t message_count;
    const char *answer, *reasoning;
    size_t answer_len, reasoning_len;
    const char *model, *finish;
    double temperature;
    int64_t seed, max_tokens;
    int64_t prompt_tokens, cached_tokens, answer_tokens; /* -1: not reported */
};

/* "T-1/tester/red-1.1.txt".  ERR_INVALID: the key is incomplete or too long. */
int recording_path(const struct call_key *key, struct arena *a, const char **ret, struct err *e);

void recording_write(struct str *out, const struct recorded *r);
/* Texts belong to the arena.  ERR_INVALID names the line. */
int recording_read(struct arena *a, const char *text, size_t len, struct recorded *ret, struct err *e);

/* Writes the file if the model is recorded (model_record). */
int recording_take(struct model *m, const struct chat_request *q, const struct chat_answer *answer,
                   struct err *e);

enum { RECORDING_MAX_FILE = 64 << 20 };

#endif
