/* cmd_model_exam.c - tandem model exam: what a model can do, measured.
 *
 * The model is asked through the home's server when one runs, else hosted here.  Only a whole exam
 * is kept: one that is interrupted has changed nothing.
 */
#include "cli/exam_card.h"
#include "cli/live.h"
#include "cli/models.h"
#include "cli/server.h"

#include "base/json.h"
#include "base/str.h"
#include "web/home_api.h"

#include <stdio.h>

enum { MINUTES = 30, QUICK_MINUTES = 8, MINUTE_MS = 60000, KIB_IN_MIB = 1024 };

static const struct option options[] = {
    { .name = "quick", .letter = 'q', .doc = "ask a third of the questions" },
    { .name = "minutes", .argument = "N", .doc = "leave out what does not fit into so many (30; with --quick 8)" },
    { .name = "show", .doc = "print the card that there is" },
    { .name = "json", .doc = "print the card as JSON" },
    { 0 },
};

/* What is known of the instance that answers. */
struct instance_facts {
    int64_t context, load_ms, memory_mib, vram_mib, pid;
};

struct sitting {
    struct session *session;
    const struct model_entry *entry;
    struct instance_facts facts;
    char shown[80]; /* the last step's name without numbers */
};

/* ---- progress ---- */

static void show_progress(const struct exam_progress *p, void *ctx)
{
    struct sitting *x = ctx;
    struct session *s = x->session;
    STR_LOCAL(left);
    if (option_given(s->in, "json"))
        return;
    if (p->left_ms >= 0) {
        str_add(&left, ", about ");
        live_duration(p->left_ms, &left);
        str_add(&left, " left");
    }
    if (s->term.is_terminal) {
        fprintf(stderr, "\r\033[K%zu of %zu: %s%s", p->done + 1, p->all, p->step, left.data);
        fflush(stderr);
        return;
    }
    char name[sizeof x->shown];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(p->step, ","), p->step);
    if (streq(name, x->shown))
        return;
    memcpy(x->shown, name, sizeof name);
    fprintf(stderr, "%zu of %zu: %s%s\n", p->done + 1, p->all, name, left.data);
}

static void end_progress(const struct sitting *x)
{
    if (x->session->term.is_terminal && !option_given(x->session->in, "json"))
        fprintf(stderr, "\r\033[K");
}

/* ---- the instance ---- */

/* Of a process on this machine, as the system counts it; 0: it cannot be told. */
static int64_t resident_mib(int64_t pid)
{
    char path[64], line[200];
    long long kib = 0;
    snprintf(path, sizeof path, "/proc/%lld/status", (long long)pid);
    FILE *f = pid > 0 ? fopen(path, "re") : NULL;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %lld kB", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib / KIB_IN_MIB;
}

static int load_there(struct sitting *x, struct err *e)
{
    json_t *answer;
    const char *path = arena_printf(&x->session->in->arena, "/tandem/models/%s/load", x->entry->id);
    int r = server_ask(x->session, "POST", path, NULL, &answer, e);
    if (r == 0)
        x->facts = (struct instance_facts){ json_int_of(answer, "context", 0), json_int_of(answer, "load_ms", 0), json_int_of(answer, "memory_mib", 0),
                                            json_int_of(answer, "vram_mib", 0), json_int_of(answer, "pid", 0) };
    return r;
}

static int load_here(struct sitting *x, struct err *e)
{
    struct manager_picture picture;
    int r = session_manager(x->session, e);
    if (r == 0)
        r = manager_load(x->session->manager, x->entry->id, &session_interrupted, e);
    if (r < 0)
        return r;
    manager_look(x->session->manager, &x->session->in->arena, &picture);
    for (size_t i = 0; i < picture.count; i++) {
        const struct manager_instance *m = &picture.instances[i];
        if (streq(m->model, x->entry->id) && m->life == LIFE_READY)
            x->facts = (struct instance_facts){ m->context, m->load_ms, m->ram_mib, m->vram_mib, m->pid };
    }
    return 0;
}

/* ---- the exam ---- */

static int keep(struct session *s, const struct exam_card *c, struct err *e)
{
    const char *person = session_login(&s->in->arena);
    json_t *answer;
    if (!s->server)
        return exam_store(s->store, c, person, e);
    struct home_exam sent = { person, *c };
    return server_ask(s, "POST", "/tandem/exam", record_write(&home_exam_record, &sent), &answer, e);
}

static int take(struct sitting *x, struct exam_card *card, struct err *e)
{
    struct session *s = x->session;
    struct model *model;
    const char *wanted = option_value(s->in, "minutes");
    bool quick = option_given(s->in, "quick");
    long long minutes = quick ? QUICK_MINUTES : MINUTES;
    if (wanted && !parse_int(wanted, 1, 100000, &minutes))
        return err_set(e, ERR_USAGE, "--minutes is \"%.40s\"; allowed: 1 to 100000", wanted);
    session_catch_signals();
    int r = s->server ? load_there(x, e) : load_here(x, e);
    if (r == 0)
        r = models_open(s, x->entry->id, x->facts.context, &model, e);
    if (r < 0)
        return r;
    struct exam_wish w = { .model = model, .name = x->entry->id, .version = x->entry->version, .slots = x->entry->slots, .quick = quick,
                           .most_ms = minutes * MINUTE_MS, .cancel = &session_interrupted, .progress = show_progress, .ctx = x };
    r = exam_take(&w, &s->in->arena, card, e);
    end_progress(x);
    int64_t memory = resident_mib(x->facts.pid);
    model_free(model);
    if (r < 0)
        return r == ERR_CANCELLED ? err_set(e, r, "stopped; nothing of this exam is kept") : r;
    card->load_ms = x->facts.load_ms;
    card->memory_mib = memory ? memory : x->facts.memory_mib;
    card->vram_mib = x->facts.vram_mib;
    return keep(s, card, e);
}

static bool makes_vectors_alone(const struct model_entry *m)
{
    return texts_has(&m->capabilities, "embed") && !texts_has(&m->capabilities, "chat");
}

static int exam(struct session *s, struct err *e)
{
    struct registry r;
    struct sitting x = { .session = s };
    struct exam_card card;
    int code = registry_load(s->store, &s->in->arena, &r, e);
    if (code == 0)
        code = registry_resolve(&r, s->in->operands.items[0], &x.entry, e);
    if (code == 0 && makes_vectors_alone(x.entry))
        return err_set(e, ERR_INVALID, "%s makes vectors; the exam is for models that answer", x.entry->id);
    if (code == 0)
        code = option_given(s->in, "show") ? exam_load(s->store, &s->in->arena, x.entry->id, x.entry->version, &card, e) : take(&x, &card, e);
    if (code < 0)
        return code;
    if (!option_given(s->in, "json")) {
        exam_card_print(s, &card, x.entry);
        return 0;
    }
    STR_LOCAL(text);
    json_write(&text, json_keep(&s->in->arena, record_write(&exam_card_record, &card)));
    fprintf(s->in->out, "%s\n", text.data);
    return 0;
}

static int run(struct invocation *in, struct err *e)
{
    return session_with(in, option_given(in, "show") ? session_look : session_open_shared, exam, e);
}

const struct command action_exam = {
    .name = "model exam", .summary = "measure what a model can do, and keep its report card",
    .operands = "MODEL|ROLE", .min_operands = 1, .max_operands = 1, .options = options,
    .description = "Asked are small changes of files, whole and by search/replace blocks, answers in JSON, free texts, and facts hidden in long "
                   "prompts; judged by what judges the team's answers. Measured are the speed with one to four calls at once (at most the "
                   "model's slots), the time of loading and the memory. The card says which roles the model can serve; a route can require "
                   "what it shows (`tandem model route`).\n\n"
                   "Nothing is kept of an exam that is interrupted.",
    .examples = "tandem model exam qwen2.5-coder-7b --quick\ta first impression\n"
                "tandem model exam qwen2.5-coder-7b --show\tthe card there is",
    .run = run,
};
