/* exam_run.c - asking the questions of an exam.
 *
 * All steps are planned first, with the tokens they will cost, so that after the first ones, which
 * measure the speed, it can be said how long the rest takes, and what does not fit into the time is
 * left out.  Some questions of each kind come before the others.  The long prompts come last, in the order of their lengths: whatever ends an exam early
 * has the short answers already.
 */
#include "model/exam_run.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

enum {
    MAX_FAULTS = 40, MAX_FAULT = 240,
    SPEED_PROMPT = 400, SPEED_ANSWER = 64, WARM_ANSWER = 4,
    FORM_PROMPT = 150, FORM_ANSWER = 300, CHANGE_PROMPT = 400, CHANGE_ANSWER = 350, ESSAY_PROMPT = 50, ESSAY_ANSWER = 500,
    NEEDLE_ANSWER = 32, NEEDLE_ROOM = 96, SHORTEST = 200, PERCENT = 100,
};

static const char *const names[EXAM_KINDS] = { "loading", "speed", "schema", "whole files", "search/replace blocks", "free text", "long prompts" };

static const char FILES_SYSTEM[] =
    "You are a programmer. You answer a wish for a change with the file that changes, whole: a line `### path` and a fenced block with the "
    "whole new text of the file, no ellipses, nothing else.\n\n### src/example.txt\n```\nwhole content\n```\n";
static const char BLOCKS_SYSTEM[] =
    "You are a programmer. You answer a wish for a change with search/replace blocks below the path of the file:\n\n### src/example.txt\n```\n"
    "<<<<<<< SEARCH\nlines exactly as they are in the file\n=======\nlines as they are to be\n>>>>>>> REPLACE\n```\n\n"
    "The lines of a SEARCH have to be in the file at exactly one place: take as many as that needs, and no more. Do not repeat the whole file.\n";

/* ---- the plan ---- */

static void plan(struct exam_sitting *x, struct exam_step step)
{
    ARENA_GROW(x->arena, x->steps, x->step_cap, x->step_count);
    step.nth = x->of_kind[step.kind]++;
    x->steps[x->step_count++] = step;
}

/* About a third of the questions of a kind, which is all of a quick exam, or the others. */
static void plan_part(struct exam_sitting *x, enum exam_kind kind, size_t count, int64_t prompt, int64_t answer, bool others)
{
    enum { THIRD = 3 };
    size_t part = (count + THIRD - 1) / THIRD + (kind != EXAM_ESSAY);
    for (size_t i = others ? part : 0; i < (others ? count : part); i++)
        plan(x, (struct exam_step){ .kind = kind, .prompt = prompt, .answer = answer });
}

static void plan_questions(struct exam_sitting *x, bool others)
{
    plan_part(x, EXAM_FORM, exam_form_count, FORM_PROMPT, FORM_ANSWER, others);
    plan_part(x, EXAM_FILES, exam_change_count, CHANGE_PROMPT, CHANGE_ANSWER, others);
    plan_part(x, EXAM_BLOCKS, exam_change_count, CHANGE_PROMPT, CHANGE_ANSWER, others);
    plan_part(x, EXAM_ESSAY, exam_essay_count, ESSAY_PROMPT, ESSAY_ANSWER, others);
}

/* Parts of the context, in percent; the deep ones first, which begin alike. */
static void plan_needles(struct exam_sitting *x)
{
    static const int64_t parts[] = { 12, 25, 50, 75, 95 }, depths[] = { 90, 50, 10 };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int64_t tokens = x->card.context * parts[i] / PERCENT - NEEDLE_ROOM;
        if (tokens < SHORTEST || (x->wish->quick && i % 2 == 0 && parts[i] != 95))
            continue;
        x->longest = tokens;
        for (size_t k = 0; k < sizeof depths / sizeof *depths; k++)
            plan(x, (struct exam_step){ .kind = EXAM_NEEDLE, .prompt = tokens, .answer = NEEDLE_ANSWER, .depth = depths[k] });
    }
}

static void plan_all(struct exam_sitting *x)
{
    int64_t room = x->card.context / 2;
    plan(x, (struct exam_step){ .kind = EXAM_WARM, .prompt = WARM_ANSWER, .answer = WARM_ANSWER });
    for (int64_t calls = 1; calls <= x->wish->slots && calls <= EXAM_MOST_SLOTS; calls++)
        if (!x->wish->quick || calls == 1 || calls == x->wish->slots || calls == EXAM_MOST_SLOTS)
            plan(x, (struct exam_step){ .kind = EXAM_SPEED, .calls = calls, .prompt = SPEED_PROMPT < room ? SPEED_PROMPT : room, .answer = SPEED_ANSWER });
    plan_questions(x, false);
    if (!x->wish->quick)
        plan_questions(x, true);
    plan_needles(x);
}

/* ---- time ---- */

/* By the speed of one call; EXAM_UNKNOWN before that was measured. */
static int64_t cost_ms(const struct exam_sitting *x, const struct exam_step *step)
{
    const struct exam_speed *one = x->speed_count ? &x->speeds[0] : NULL;
    int64_t calls = step->calls ? step->calls : 1;
    if (!one || one->prompt <= 0 || one->generation <= 0)
        return EXAM_UNKNOWN;
    return (int64_t)((double)(step->prompt * calls) / one->prompt * 1000 + (double)(step->answer * calls) / one->generation * 1000 / 2);
}

static int64_t left_ms(const struct exam_sitting *x, size_t from)
{
    int64_t sum = 0;
    for (size_t i = from; i < x->step_count; i++) {
        int64_t ms = cost_ms(x, &x->steps[i]);
        if (ms == EXAM_UNKNOWN)
            return EXAM_UNKNOWN;
        sum += ms;
    }
    return sum;
}

static void tell(struct exam_sitting *x, size_t at)
{
    if (!x->wish->progress)
        return;
    ARENA_LOCAL(a);
    const struct exam_step *step = &x->steps[at];
    size_t all = x->of_kind[step->kind];
    const char *text = all > 1 ? arena_printf(&a, "%s, %zu of %zu", names[step->kind], step->nth + 1, all) : names[step->kind];
    int64_t left = left_ms(x, at), room = x->wish->most_ms - (clock_steady_ms() - x->begun_ms);
    struct exam_progress p = { text, at, x->step_count, left > room && room > 0 ? room : left };
    x->wish->progress(&p, x->wish->ctx);
}

/* ---- asking ---- */

void exam_count(struct exam_sitting *x, const struct chat_answer *a)
{
    x->card.prompt_tokens += a->prompt_tokens > 0 ? a->prompt_tokens : 0;
    x->card.completion_tokens += a->completion_tokens > 0 ? a->completion_tokens : 0;
}

int exam_ask(struct exam_sitting *x, const char *instruction, const char *question, const struct record *schema, int64_t max_tokens,
             double temperature, struct chat_answer *ret, struct err *e)
{
    struct chat_message messages[] = { { CHAT_SYSTEM, instruction }, { CHAT_USER, question } };
    size_t skip = !*instruction;
    struct chat_request q = { .messages = messages + skip, .message_count = 2 - skip, .schema = schema, .max_tokens = max_tokens,
                              .temperature = temperature, .seed = 1, .cancel = x->wish->cancel,
                              .key = { "", "exam", "question", (int64_t)x->card.prompt_tokens + 1 } };
    int r = model_chat(x->wish->model, &q, ret, e);
    if (r == 0)
        exam_count(x, ret);
    return r;
}

static void add_fault(struct exam_sitting *x, const struct exam_step *step, const char *why)
{
    if (x->card.faults.count < MAX_FAULTS)
        texts_add(&x->card.faults, x->arena,
                  arena_printf(x->arena, "%s, %zu: %.*s", names[step->kind], step->nth + 1, (int)utf8_floor(why, strnlen(why, MAX_FAULT)), why));
}

static int change(struct exam_sitting *x, const struct exam_step *step, struct chat_answer *answer, struct err *why, struct err *e)
{
    const struct exam_change *c = &exam_changes[step->nth];
    bool blocks = step->kind == EXAM_BLOCKS;
    const char *question = arena_printf(x->arena, "This is %s:\n\n### %s\n```\n%s```\n\n%s", c->path, c->path, c->before, c->wish);
    int r = exam_ask(x, blocks ? BLOCKS_SYSTEM : FILES_SYSTEM, question, NULL, step->answer, 0.1, answer, e);
    return r < 0 ? r : exam_judge_change(c, blocks, answer->text.data, answer->text.len, why) == 0;
}

static int form(struct exam_sitting *x, const struct exam_step *step, struct chat_answer *answer, struct err *why, struct err *e)
{
    const struct exam_form *f = &exam_forms[step->nth];
    int r = exam_ask(x, "", f->question, f->record, step->answer, 0.1, answer, e);
    return r < 0 ? r : exam_judge_form(f, answer->text.data, answer->text.len, why) == 0;
}

static int essay(struct exam_sitting *x, const struct exam_step *step, struct chat_answer *answer, struct err *why, struct err *e)
{
    int r = exam_ask(x, "", exam_essays[step->nth], NULL, step->answer, 0.7, answer, e);
    if (r < 0)
        return r;
    bool loops = streq(answer->finish, "repetition") || exam_is_loop(answer->text.data, answer->text.len);
    err_set(why, ERR_INVALID, "the text runs in circles");
    return !loops;
}

/* A server that counts wrongly must not make prompts endless. */
static double believable(double real_tokens)
{
    const double least = 0.5, most = 1.3;
    return real_tokens < least ? least : real_tokens > most ? most : real_tokens;
}

/* The first ones show how many tokens an estimated one really is. */
static int needle(struct exam_sitting *x, const struct exam_step *step, struct chat_answer *answer, struct err *why, struct err *e)
{
    enum { FIRST_NUMBER = 40127, APART = 37 };
    STR_LOCAL(text);
    int64_t number = FIRST_NUMBER + (int64_t)step->nth * APART, wanted = (int64_t)((double)step->prompt / x->real_tokens);
    str_add(&text, "Read this text; there will be a question about it.\n\n");
    exam_haystack(wanted, step->depth, number, &text);
    str_add(&text, "\nWhat is the password of the old lighthouse? Answer with the password alone.");
    int r = exam_ask(x, "", text.data, NULL, step->answer, 0, answer, e);
    if (r == 0 && answer->prompt_tokens > 0)
        x->real_tokens = believable((double)answer->prompt_tokens / (double)tokens_estimate(text.data, text.len));
    if (r < 0 && r != ERR_LIMIT)
        return r;
    bool found = r == 0 && exam_found(number, answer->text.data);
    err_set(why, ERR_INVALID, "of a prompt of %lld tokens, what stood at %lld %% was not found", (long long)step->prompt, (long long)step->depth);
    ARENA_GROW(x->arena, x->needles, x->needle_cap, x->needle_count);
    x->needles[x->needle_count++] = (struct exam_needle){ step->prompt, step->depth, found };
    if (r < 0)
        *answer = (struct chat_answer){ .text = STR_INIT, .reasoning = STR_INIT };
    return found;
}

static int warm(struct exam_sitting *x, const struct exam_step *step, struct chat_answer *answer, struct err *e)
{
    int r = exam_ask(x, "", "Say yes.", NULL, step->answer, 0, answer, e);
    return r < 0 ? r : 1;
}

/* 1: right; 0: wrong, `why` says it; or an error of asking, which leaves `answer` alone. */
static int do_step(struct exam_sitting *x, const struct exam_step *step, struct chat_answer *answer, struct err *why, struct err *e)
{
    switch (step->kind) {
    case EXAM_WARM: return warm(x, step, answer, e);
    case EXAM_FORM: return form(x, step, answer, why, e);
    case EXAM_FILES: case EXAM_BLOCKS: return change(x, step, answer, why, e);
    case EXAM_ESSAY: return essay(x, step, answer, why, e);
    default: return needle(x, step, answer, why, e);
    }
}

/* Nobody can answer the next question better. */
static bool ends_exam(int code)
{
    return code == ERR_CANCELLED || code == ERR_NOT_FOUND || code == ERR_REFUSED || code == ERR_UNAVAILABLE || code == ERR_SETUP;
}

static int take_step(struct exam_sitting *x, const struct exam_step *step, struct err *e)
{
    struct err why = { 0 }, failure = { 0 };
    struct chat_answer answer = { .text = STR_INIT, .reasoning = STR_INIT };
    int r;
    if (step->kind == EXAM_SPEED) {
        r = exam_race(x, step, &failure);
        r = r == 0 ? 1 : r;
    } else {
        r = do_step(x, step, &answer, &why, &failure);
        if (r >= 0)
            chat_answer_release(&answer);
    }
    if (r < 0 && (ends_exam(r) || step->kind == EXAM_WARM))
        return err_set(e, r, "%s", failure.text);
    x->asked[step->kind]++;
    x->right[step->kind] += r > 0;
    if (r <= 0)
        add_fault(x, step, r < 0 ? failure.text : why.text);
    return 0;
}

enum { LENGTH_DEPTHS = 3 };

static bool begins_length(const struct exam_sitting *x, const struct exam_step *step)
{
    return step->kind == EXAM_NEEDLE && (!x->needle_count || x->needles[x->needle_count - 1].tokens != step->prompt);
}

/* Beyond a length at which nothing was found prompts cost the most and tell the least. */
static bool is_hopeless(const struct exam_sitting *x, const struct exam_step *step)
{
    if (!begins_length(x, step) || x->needle_count < LENGTH_DEPTHS)
        return false;
    for (size_t i = x->needle_count - LENGTH_DEPTHS; i < x->needle_count; i++)
        if (x->needles[i].found)
            return false;
    return true;
}

/* A length is tried at all depths or not at all. */
static bool is_too_long(const struct exam_sitting *x, const struct exam_step *step)
{
    bool begins = begins_length(x, step);
    if (step->kind <= EXAM_SPEED || (step->kind == EXAM_NEEDLE && !begins))
        return false;
    int64_t ms = cost_ms(x, step), gone = clock_steady_ms() - x->begun_ms;
    return gone + (ms == EXAM_UNKNOWN ? 0 : ms) * (begins ? LENGTH_DEPTHS : 1) > x->wish->most_ms;
}

static int take_steps(struct exam_sitting *x, struct err *e)
{
    for (size_t i = 0; i < x->step_count; i++) {
        if (is_hopeless(x, &x->steps[i]))
            return 0; /* the long prompts are last */
        if (is_too_long(x, &x->steps[i])) {
            x->left_out++;
            if (x->steps[i].kind != EXAM_NEEDLE)
                continue;
            x->left_out += x->step_count - i - 1;
            return 0;
        }
        tell(x, i);
        int r = take_step(x, &x->steps[i], e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int64_t share(const struct exam_sitting *x, enum exam_kind kind)
{
    return x->asked[kind] ? (int64_t)(x->right[kind] * PERCENT / x->asked[kind]) : EXAM_UNKNOWN;
}

static void finish(struct exam_sitting *x)
{
    struct exam_card *c = &x->card;
    c->schema = share(x, EXAM_FORM);
    c->files = share(x, EXAM_FILES);
    c->blocks = share(x, EXAM_BLOCKS);
    c->steady = share(x, EXAM_ESSAY);
    c->usable_context = exam_usable(x->needles, x->needle_count);
    if (c->usable_context == x->longest && x->longest)
        c->usable_context = c->context;
    c->needles = (struct records){ x->needles, x->needle_count };
    c->speeds = (struct records){ x->speeds, x->speed_count };
    c->took_ms = clock_steady_ms() - x->begun_ms;
    if (x->left_out)
        texts_add(&c->faults, x->arena, arena_printf(x->arena, "%zu questions were left out for lack of time", x->left_out));
}

int exam_take(const struct exam_wish *w, struct arena *a, struct exam_card *ret, struct err *e)
{
    const char *served;
    struct exam_sitting x = { .wish = w, .arena = a, .real_tokens = 0.7, .begun_ms = clock_steady_ms() };
    x.card = (struct exam_card){ .model = arena_strdup(a, w->name), .version = w->version, .taken_ms = clock_wall_ms(), .quick = w->quick };
    int r = model_describe(w->model, w->cancel, &served, &x.card.context, e);
    if (r < 0)
        return r;
    plan_all(&x);
    r = take_steps(&x, e);
    if (r < 0)
        return r;
    finish(&x);
    *ret = x.card;
    return 0;
}
