/* work.c - the loop between team and person.
 *
 * The team works, here or at a server, until a gate; the person answers on the terminal; the team goes on.
 */
#include "cli/work.h"

#include "base/diff.h"
#include "base/str.h"
#include "cli/desk.h"
#include "cli/output.h"
#include "cli/place.h"
#include "cli/progress.h"
#include "cli/summary.h"

#include <unistd.h>

const char *const drift_choices[] = { "warn", "fail", NULL };

/* --model and --record, as they are meant here. */
static int read_models(struct work *w, struct err *e)
{
    struct invocation *in = w->session.in;
    struct texts words = option_values(in, "model");
    const char *record = option_value(in, "record"), *word;
    int r = record ? place_to_write(&in->arena, "--record", record, &w->record, e) : 0;
    for (size_t i = 0; r == 0 && i < words.count; i++) {
        r = place_of_model(&in->arena, words.items[i], &word, e);
        if (r == 0)
            texts_add(&w->models, &in->arena, word);
    }
    return r;
}

int work_open(struct work *w, struct invocation *in, struct err *e)
{
    *w = (struct work){ .record = "" };
    w->accept = option_given(in, "yes");
    w->out = option_given(in, "json") ? output_open(stderr) : in->out;
    session_catch_signals();
    int r = session_open_shared(&w->session, in, e);
    enum progress_style style = option_given(in, "json")        ? PROGRESS_JSON
                                : w->session.term.is_terminal ? PROGRESS_LIVE
                                                              : PROGRESS_PLAIN;
    w->progress = progress_new(&w->session, style);
    if (r == 0)
        r = read_models(w, e);
    return r;
}

void work_close(struct work *w)
{
    progress_free(w->progress);
    if (w->out != w->session.in->out)
        output_close(w->out, stderr);
    session_close(&w->session);
}

/* ---- gates ---- */

int work_create(struct work *w, const struct project_wish *wish, const char **ret_id, struct err *e)
{
    struct session *s = &w->session;
    struct office_created made;
    if (s->term.is_terminal) {
        fprintf(w->out, "Asking the models; one that is being loaded is waited for.\n");
        fflush(w->out);
    }
    int r = desk_do(s, &office_create, wish, &made, e);
    if (r < 0)
        return r;
    if (*made.note)
        fprintf(stderr, "tandem: warning: %s\n", made.note);
    *ret_id = made.project;
    return 0;
}

/* Where nobody can be asked. */
static const char *elsewhere(struct work *w, const char *project)
{
    return arena_printf(&w->session.in->arena, "use tandem resume %s on a terminal", project);
}

static int approve(struct work *w, const char *project, const char *shown, struct err *e)
{
    return desk_do(&w->session, &office_approve, &(struct office_approval){ project, shown }, &(struct office_nothing){ 0 }, e);
}

static int change(struct work *w, const char *project, const char *shown, struct err *e)
{
    STR_LOCAL(wish);
    int r = term_ask_line(&w->session.term, "What should be different?", elsewhere(w, project), &wish, e);
    if (r == 0 && wish.len)
        r = desk_do(&w->session, &office_change, &(struct office_revision){ project, shown, wish.data }, &(struct office_nothing){ 0 }, e);
    return r;
}

/* The lines that came and went. */
static void add_changes(struct str *out, const char *before, const char *now)
{
    STR_LOCAL(diff);
    diff_unified(&diff, "before", before, strlen(before), "now", now, strlen(now));
    int lines = 0;
    for (const char *at = diff.data; *at;) {
        size_t len = strcspn(at, "\n");
        bool is_header = lines++ < 2; /* --- and +++ */
        if (!is_header && (*at == '+' || *at == '-'))
            str_addf(out, "%c %.*s\n", *at, (int)len - 1, at + 1);
        at += len + (at[len] == '\n');
    }
}

/* What nobody will take any more is at least shown, so that it can be written again. */
static void give_back(struct work *w, const char *before, const char *edited)
{
    STR_LOCAL(changes);
    add_changes(&changes, before, edited);
    fprintf(w->out, "\nWhat you changed:\n%s", changes.data);
}

/* A text that is not taken is opened again as the person left it, until it is or they give up. */
static int edit(struct work *w, const char *project, const struct gate *gate, struct err *e)
{
    static const struct choice again[] = { { 'e', "edit again" }, { 'd', "drop the changes" } };
    int r = 0;
    STR_LOCAL(draft);
    str_add(&draft, gate->editable);
    for (char answer = 'e'; r == 0 && answer == 'e';) {
        STR_LOCAL(edited);
        r = term_edit(&w->session.term, gate->is_spec ? "spec.md" : "plan.yaml", draft.data, draft.len, &edited, e);
        if (r == ERR_CANCELLED || (r == 0 && streq(edited.data, gate->editable))) {
            fprintf(w->out, "Left as it was.\n");
            return 0;
        }
        if (r == 0)
            r = desk_do(&w->session, &office_edit, &(struct office_revision){ project, gate->shown, edited.data },
                        &(struct office_nothing){ 0 }, e);
        if (r == ERR_CONFLICT || r == ERR_REFUSED)
            give_back(w, gate->editable, edited.data);
        if (r != ERR_INVALID)
            break;
        str_clear(&draft);
        str_add_str(&draft, &edited);
        fprintf(w->out, "\nNot taken: %s\n", e->text);
        fflush(w->out);
        r = term_ask(&w->session.term, "What now?", again, 2, elsewhere(w, project), &answer, e);
    }
    return r;
}

static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

/* Since the person read it last. */
static void show_changes(struct work *w, const char *text)
{
    STR_LOCAL(shown);
    add_changes(&shown, w->seen, text);
    if (shown.len && count_lines(shown.data) <= count_lines(text) / 2) /* else it is no help */
        fprintf(w->out, "Changed since you read it:\n%s\n", shown.data);
}

/* Whether other words say the same, only the person can tell. */
static void show_doubt(struct work *w, const char *project, const char *shown)
{
    struct arena *a = &w->session.in->arena;
    struct spec spec;
    if (store_get(w->session.store, a, &spec_type, arena_printf(a, "%s/%s", project, shown), &spec, NULL, NULL) == 0 && *spec.doubt)
        fprintf(w->out, "Of what you asked for these words do not occur: %s. Look whether it says them in other words.\n\n", spec.doubt);
}

static void show_gate(struct work *w, const char *project, const struct gate *gate)
{
    fprintf(w->out, "\n%s\n", gate->text);
    if (w->seen && w->seen_spec == gate->is_spec)
        show_changes(w, gate->text);
    if (gate->is_spec)
        show_doubt(w, project, gate->shown);
    fflush(w->out);
    w->seen = gate->text;
    w->seen_spec = gate->is_spec;
}

/* *ret_stop: the person wants to stop here. */
static int ask_person(struct work *w, const char *project, bool *ret_stop, struct err *e)
{
    static const struct choice choices[] = { { 'a', "accept" }, { 'e', "edit" }, { 'c', "change" }, { 's', "stop" } };
    struct team *eyes;
    struct gate gate;
    int r = session_eyes(&w->session, &eyes, e);
    if (r == 0)
        r = team_gate(eyes, &w->session.in->arena, project, &gate, e);
    if (r < 0)
        return r;
    show_gate(w, project, &gate);
    const char *what = gate.is_spec ? "specification" : "plan";
    char answer;
    r = term_ask(&w->session.term, arena_printf(&w->session.in->arena, "This is the %s.", what), choices, 4,
                 arena_printf(&w->session.in->arena, "the %s waits for approval: run `tandem resume %s` on a terminal, or "
                              "`tandem resume %s --yes` to accept it", what, project, project), &answer, e);
    if (r < 0)
        return r;
    switch (answer) {
    case 'a': return approve(w, project, gate.shown, e);
    case 'e': return edit(w, project, &gate, e);
    case 'c': return change(w, project, gate.shown, e);
    default: *ret_stop = true; return 0;
    }
}

static bool is_gate(struct work *w, const char *project)
{
    struct project p;
    return session_project(&w->session, project, &project, &p, NULL) == 0 &&
           (p.state == PROJECT_SPEC_APPROVAL || p.state == PROJECT_PLAN_APPROVAL);
}

/* Others may answer too.  Who comes too late goes on with what they said, or is asked about the
 * next thing that waits; `--yes` accepts whatever that is. */
static int pass_gate(struct work *w, const char *project, bool *ret_stop, struct err *e)
{
    for (;;) {
        int r = w->accept ? approve(w, project, "", e) : ask_person(w, project, ret_stop, e);
        if (r == ERR_REFUSED && !is_gate(w, project)) {
            if (!w->accept)
                fprintf(w->out, "Somebody else was quicker: %s.\n", e->text);
            return 0;
        }
        if (r != ERR_CONFLICT || w->accept)
            return r;
        fprintf(w->out, "\nNot taken: %s. This is what waits now:\n", e->text);
    }
}

/* ---- the loop ---- */

/* "(1 of 2 functionalities)" */
static int count_finished(struct work *w, const char *project, const char **ret, struct err *e)
{
    struct arena *a = &w->session.in->arena;
    struct store_found found;
    int r = project_functionalities(w->session.store, a, project, &found, e);
    size_t done = 0;
    for (size_t i = 0; r == 0 && i < found.count; i++)
        done += ((const struct functionality *)found.docs)[i].state == FUNCTIONALITY_DONE;
    if (r == 0)
        *ret = arena_printf(a, "(%zu of %zu functionalities)", done, found.count);
    return r;
}

/* The person is told where the result is, or what there is of it. */
static int hand_over(struct work *w, const char *project, bool all, struct err *e)
{
    struct handed handed;
    struct project p;
    const char *finished = "";
    int r = session_project(&w->session, project, &project, &p, e);
    if (r == 0)
        r = desk_do(&w->session, &office_hand_over, &(struct office_project){ project }, &handed, e);
    if (r == ERR_EXISTS && !all) { /* one thing more for the person to mend */
        fprintf(w->out, "%s\n", e->text);
        return 0;
    }
    if (r == 0 && !all)
        r = count_finished(w, project, &finished, e);
    if (r < 0 || option_given(w->session.in, "json"))
        return r;
    FILE *out = w->session.in->out;
    const char *place = *p.source ? p.source : p.out;
    fprintf(out, "%s", handed.note);
    if (handed.nothing)
        fprintf(out, "Nothing is finished yet, so nothing is handed over.\n");
    else if (!handed.waits && handed.released)
        fprintf(out, "%s is in %s, branch DEV, and released: %s has all of it.\n",
                all ? "The result" : arena_printf(&w->session.in->arena, "What is finished so far %s", finished), place, p.branch);
    else if (!handed.waits && all)
        fprintf(out, "The result is in %s, branch DEV. `tandem release %s` takes it into %s.\n", place, project, p.branch);
    else if (!handed.waits)
        fprintf(out, "What is finished so far %s is in %s, branch DEV. `tandem release %s --partial` takes it into %s.\n", finished, place,
                project, p.branch);
    return 0;
}

/* Programs are told how it ended after everything else, people in the words around this. */
static int tell_programs(struct work *w, const char *project, const char *end, struct err *e)
{
    return option_given(w->session.in, "json") ? summary_print_json(&w->session, project, end, e) : 0;
}

static void say_joined(const char *left_out, void *work)
{
    struct work *w = work;
    STR_LOCAL(said);
    str_addf(&said, "others are at it already; it is stopped when the last who looks has left\n%s", left_out);
    progress_say(w->progress, said.data);
    if (*left_out && option_given(w->session.in, "json"))
        fprintf(stderr, "tandem: warning: %s", left_out);
}

/* Until a gate or the end, wherever that is: when the server that has the home ends, whoever has it
 * next goes on, and that may be this process. */
static int sit(struct work *w, const char *project, int64_t after_seq, bool goes_on, enum team_end *ret, struct err *e)
{
    struct session *s = &w->session;
    const char *drift = option_value(s->in, "drift");
    struct office_sitting wish = { .project = project, .models = w->models, .goes_on = goes_on,
                                   .drift = drift && streq(drift, "fail") ? DRIFT_FAIL : DRIFT_WARN, .record = w->record };
    bool goes_on_there = false;
    struct desk_watcher watcher = { progress_watcher(w->progress), say_joined, &goes_on_there, w };
    struct office_ended ended = { .end = TEAM_STOPPED, .notes = "" };
    int r = 0;
    for (int holders = 0; r == 0 && holders < SESSION_HOLDERS; holders = goes_on_there ? 0 : holders + 1) {
        goes_on_there = false;
        progress_begin(w->progress, project, after_seq);
        r = desk_sit(s, &wish, &watcher, &ended, e);
        progress_end(w->progress, ended.end != TEAM_GATE);
        if (r != ERR_GONE)
            break;
        r = session_open_again(s, e);
    }
    if (*ended.notes)
        fprintf(stderr, "tandem: warning: %s", ended.notes);
    *ret = (enum team_end)ended.end;
    return r;
}

int work_on(struct work *w, const char *project, int64_t after_seq, struct err *e)
{
    bool stop = false, goes_on = false;
    enum team_end end = TEAM_STOPPED;
    int r = 0;
    while (r == 0 && !stop && !atomic_load(&session_interrupted)) {
        r = sit(w, project, after_seq, goes_on, &end, e);
        if (r < 0 || end != TEAM_GATE)
            break;
        r = pass_gate(w, project, &stop, e);
        goes_on = true;
    }
    if (r == ERR_CANCELLED && atomic_load(&session_interrupted))
        r = 0; /* at a question */
    if (r < 0)
        return r;
    if (stop || end == TEAM_STOPPED || atomic_load(&session_interrupted)) {
        fprintf(w->out, "Stopped; nothing is lost. `tandem resume %s` goes on from here.\n", project);
        r = tell_programs(w, project, "stopped", e);
        return r < 0 ? r : stop ? STATUS_OK : STATUS_FAILED;
    }
    if (!option_given(w->session.in, "json"))
        r = summary_print(&w->session, project, e);
    if (r == 0)
        r = hand_over(w, project, end == TEAM_DONE, e);
    if (r == 0)
        r = tell_programs(w, project, end == TEAM_DONE ? "done" : "blocked", e);
    return r < 0 ? r : end == TEAM_DONE ? STATUS_OK : STATUS_BLOCKED;
}
