/* cmd_verify.c - tandem verify: does everything that was proven still hold? */
#include "base/json.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/text.h"
#include "os/files.h"
#include "team/verify.h"

static const struct option options[] = {
    { .name = "project", .argument = "PROJECT", .doc = "only this project; with T-N, the one begun last without it" },
    { .name = "pairs", .letter = 'p', .argument = "N", .doc = "trees tested at a time (setting pairs)" },
    { .name = "json", .doc = "print one JSON object with counts, faults and notes" },
    { 0 },
};

struct report {
    struct session *session;
    json_t *faults, *notes; /* with --json */
    bool line;              /* the terminal shows a line that is replaced */
};

/* Replaces the line of progress, on a terminal. */
static void show_line(struct report *r, const char *text)
{
    struct term *t = &r->session->term;
    STR_LOCAL(out);
    fflush(r->session->in->out);
    str_add(&out, "\r\033[K");
    text_fit(&out, text, strlen(text), (size_t)t->width - 1, term_ellipsis(t->unicode));
    if (fd_write(t->out_fd, out.data, out.len) == 0)
        r->line = *text != '\0';
}

static void clear_line(struct report *r)
{
    if (r->line)
        show_line(r, "");
}

static void on_moved(int64_t done, int64_t all, const char *what, void *ctx)
{
    struct report *r = ctx;
    if (r->faults)
        return;
    if (r->session->term.is_terminal) {
        char text[120];
        snprintf(text, sizeof text, "%lld of %lld trees tested  %s", (long long)done, (long long)all, what);
        show_line(r, text);
    } else if (all && done == 0) {
        fprintf(r->session->in->out, "Testing %lld trees ...\n", (long long)all);
        fflush(r->session->in->out);
    }
}

static json_t *as_json(const struct verify_finding *f)
{
    json_t *o = json_object();
    json_put_text(o, "project", f->project);
    json_put_text(o, "ticket", f->ticket);
    json_put_int(o, "criterion", f->criterion);
    json_put(o, "text", json_text(f->text, strlen(f->text)));
    return o;
}

/* "units T-3, criterion 2: ..." */
static void print_finding(struct report *r, const struct verify_finding *f, enum ink ink, const char *mark)
{
    FILE *out = r->session->in->out;
    const char *const *inks = session_inks(r->session);
    STR_LOCAL(text);
    str_addf(&text, "%s%s%s", f->project, *f->project && *f->ticket ? " " : "", f->ticket);
    if (f->criterion)
        str_addf(&text, ", criterion %lld", (long long)f->criterion);
    str_addf(&text, "%s%s", text.len ? ": " : "", f->text);
    STR_LOCAL(shown);
    text_fit(&shown, text.data, text.len, text.len + 1, ""); /* makes it harmless */
    clear_line(r);
    fprintf(out, "%s%s%s  %s\n", inks[ink], mark, inks[INK_PLAIN], shown.data);
    fflush(out);
}

static void on_fault(const struct verify_finding *f, void *ctx)
{
    struct report *r = ctx;
    if (r->faults)
        json_array_append_new(r->faults, as_json(f));
    else
        print_finding(r, f, INK_RED, "fault");
}

static void on_note(const struct verify_finding *f, void *ctx)
{
    struct report *r = ctx;
    if (r->notes)
        json_array_append_new(r->notes, as_json(f));
    else
        print_finding(r, f, INK_PLAIN, "note ");
}

static void print_json(struct report *r, const struct verify_count *c)
{
    json_t *o = json_keep(&r->session->in->arena, json_object());
    const struct { const char *name; int64_t value; } rows[] = {
        { "events", c->events }, { "projects", c->projects }, { "tickets", c->tickets }, { "criteria", c->criteria },
        { "commits", c->commits }, { "trees", c->trees },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_put_int(o, rows[i].name, rows[i].value);
    json_put(o, "faults", json_incref(r->faults));
    json_put(o, "notes", json_incref(r->notes));
    STR_LOCAL(text);
    json_write(&text, o);
    fprintf(r->session->in->out, "%s\n", text.data);
}

static void print_summary(struct report *r, const struct verify_count *c)
{
    FILE *out = r->session->in->out;
    clear_line(r);
    fprintf(out, "%lld events, %lld ticket%s, %lld criteri%s; %lld tree%s tested. ", (long long)c->events, (long long)c->tickets,
            c->tickets == 1 ? "" : "s", (long long)c->criteria, c->criteria == 1 ? "on" : "a", (long long)c->trees,
            c->trees == 1 ? "" : "s");
    if (c->faults)
        fprintf(out, "%lld thing%s not hold.\n", (long long)c->faults, c->faults == 1 ? " does" : "s do");
    else
        fprintf(out, "Everything holds.\n");
}

static int read_wish(struct session *s, struct verify_wish *w, struct err *e)
{
    struct invocation *in = s->in;
    struct project p;
    w->jobs = in->settings.pairs;
    w->ticket = in->operands.count ? in->operands.items[0] : NULL;
    w->project = option_value(in, "project");
    return w->ticket || w->project ? session_project(s, w->project, &w->project, &p, e) : 0;
}

static int run(struct invocation *in, struct err *e)
{
    struct session s;
    struct report report = { .session = &s };
    struct verify_wish wish = { 0 };
    struct verify_count count;
    struct team *eyes;
    if (option_given(in, "json")) {
        report.faults = json_keep(&in->arena, json_array());
        report.notes = json_keep(&in->arena, json_array());
    }
    struct verify_watcher watcher = { on_fault, on_note, on_moved, &report };
    int r = invocation_option_setting(in, "pairs", e);
    if (r < 0)
        return r;
    r = session_look(&s, in, e);
    if (r == 0)
        r = read_wish(&s, &wish, e);
    if (r == 0)
        r = session_eyes(&s, &eyes, e);
    if (r == 0)
        session_warn_unprotected(&s);
    if (r == 0)
        r = team_verify(eyes, &wish, &watcher, &count, e);
    if (r == 0 && report.faults)
        print_json(&report, &count);
    else if (r == 0)
        print_summary(&report, &count);
    else
        clear_line(&report);
    session_close(&s);
    return r < 0 ? r : count.faults ? STATUS_FAILED : STATUS_OK;
}

const struct command command_verify = {
    .name = "verify",
    .summary = "prove again everything that was proven",
    .operands = "[T-N]",
    .max_operands = 1,
    .options = options,
    .description = "Checks the chain of the log, every document and every stored body; that each criterion's red and "
                   "green commits are there as witnessed; and runs the tests again: they must fail on the red commit for "
                   "the stored reason and pass on the green one, and what is in DEV must pass all of them. Names what "
                   "does not hold, one sentence each.\n\nMay be used while the team works, and on a copy of a home. "
                   "Without T-N and --project, all projects of the home.\n\nExit status: 0 everything holds, 1 it does not.",
    .examples = "tandem verify T-3\tone ticket of the project begun last\n"
                "tandem verify --home /media/backup/tandem\ta copy",
    .run = run,
};
