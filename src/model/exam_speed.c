/* exam_speed.c - how fast a model reads and writes with some calls at once.
 *
 * Each call has a prompt of its own from the first word on, so that nothing comes from a cache.
 * Reading is measured to the last first token of them, writing as the sum of what each wrote from
 * its own first token on.
 */
#include "model/exam_run.h"

#include "base/clock.h"
#include "base/str.h"

#include <pthread.h>

struct runner {
    const struct exam_wish *wish;
    const struct exam_step *step;
    const char *question;
    struct chat_answer answer;
    pthread_t thread;
    int code;
    struct err err;
};

static void *run(void *ctx)
{
    struct runner *r = ctx;
    struct chat_message message = { CHAT_USER, r->question };
    struct chat_request q = { .messages = &message, .message_count = 1, .max_tokens = r->step->answer, .temperature = 0.2, .seed = 1,
                              .cancel = r->wish->cancel, .key = { "", "exam", "speed", (int64_t)r->step->nth + 1 } };
    r->code = model_chat(r->wish->model, &q, &r->answer, &r->err);
    return NULL;
}

static const char *question(struct exam_sitting *x, const struct exam_step *step, int64_t nth)
{
    STR_LOCAL(text);
    str_addf(&text, "%lld-%lld is the number of this letter.\n", (long long)(step->calls * 100 + nth), (long long)clock_steady_us());
    exam_haystack(step->prompt, 0, nth, &text);
    str_add(&text, "\nWrite a long story that begins where this text ends.");
    return arena_strndup(x->arena, text.data, text.len);
}

static void add_rates(struct exam_speed *speed, const struct runner *runners, int64_t count)
{
    double slowest_s = 0, read = 0;
    for (int64_t i = 0; i < count; i++) {
        const struct chat_answer *a = &runners[i].answer;
        double first_s = (double)(a->first_token_us + a->queue_us) / 1e6, rest_s = (double)a->total_us / 1e6 - first_s;
        slowest_s = first_s > slowest_s ? first_s : slowest_s;
        read += a->prompt_tokens > 0 ? (double)(a->prompt_tokens - (a->cached_tokens > 0 ? a->cached_tokens : 0)) : 0;
        if (a->completion_tokens > 1 && rest_s > 0)
            speed->generation += (double)(a->completion_tokens - 1) / rest_s;
    }
    if (slowest_s > 0)
        speed->prompt = read / slowest_s;
}

int exam_race(struct exam_sitting *x, const struct exam_step *step, struct err *e)
{
    struct runner runners[EXAM_MOST_SLOTS] = { 0 };
    struct exam_speed speed = { .calls = step->calls };
    int64_t started = 0;
    int r = 0;
    for (; r == 0 && started < step->calls && started < EXAM_MOST_SLOTS; started++) {
        struct runner *one = &runners[started];
        *one = (struct runner){ .wish = x->wish, .step = step, .question = question(x, step, started) };
        if (pthread_create(&one->thread, NULL, run, one) != 0) {
            r = err_set(e, ERR_FAILED, "no thread can be made to measure the speed");
            break;
        }
    }
    for (int64_t i = 0; i < started; i++) {
        pthread_join(runners[i].thread, NULL);
        if (r == 0 && runners[i].code < 0)
            r = err_set(e, runners[i].code, "%s", runners[i].err.text);
    }
    if (r == 0) {
        add_rates(&speed, runners, started);
        ARENA_GROW(x->arena, x->speeds, x->speed_cap, x->speed_count);
        x->speeds[x->speed_count++] = speed;
    }
    for (int64_t i = 0; i < started; i++) {
        if (runners[i].code < 0)
            continue;
        exam_count(x, &runners[i].answer);
        chat_answer_release(&runners[i].answer);
    }
    return r;
}
