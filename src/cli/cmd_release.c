/* cmd_release.c - tandem release: DEV goes into the default branch, when a person says so. */
#include "base/str.h"
#include "cli/commands.h"
#include "cli/desk.h"
#include "cli/text.h"
#include "team/release.h"

static const struct option options[] = {
    { .name = "yes", .letter = 'y', .doc = "release without asking" },
    { .name = "partial", .doc = "also when tickets are left: what is in DEV so far" },
    { 0 },
};

enum { SHOWN_COMMITS = 20, SHOWN_FILES = 40, MAX_LOOKS = 5 };

static void print_text(FILE *out, const char *text)
{
    STR_LOCAL(shown);
    text_fit(&shown, text, strlen(text), strlen(text) + 1, "");
    fprintf(out, "%s", shown.data);
}

static void print_files(FILE *out, const struct diff_stats *s)
{
    long long added = 0, removed = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct diff_stat *f = &s->files[i];
        added += f->added > 0 ? f->added : 0;
        removed += f->removed > 0 ? f->removed : 0;
        if (i >= SHOWN_FILES)
            continue;
        if (f->added < 0)
            fprintf(out, "    binary       ");
        else
            fprintf(out, "  +%-6lld -%-6lld", f->added, f->removed);
        print_text(out, f->path);
        fprintf(out, "\n");
    }
    if (s->count > SHOWN_FILES)
        fprintf(out, "  and %zu more\n", s->count - SHOWN_FILES);
    fprintf(out, "%zu file%s, +%lld -%lld lines\n", s->count, s->count == 1 ? "" : "s", added, removed);
}

static void print_what_comes(FILE *out, const struct release *w)
{
    fprintf(out, "%zu commit%s of DEV for %s%s%s:\n", w->commits, w->commits == 1 ? "" : "s", w->branch, *w->target ? " in " : "",
            w->target);
    for (size_t i = 0; i < w->subjects.count && i < SHOWN_COMMITS; i++) {
        fprintf(out, "  ");
        print_text(out, w->subjects.items[i]);
        fprintf(out, "\n");
    }
    if (w->subjects.count > SHOWN_COMMITS)
        fprintf(out, "  and %zu more\n", w->subjects.count - SHOWN_COMMITS);
    fprintf(out, "\n");
    print_files(out, &w->files);
    if (w->dirty)
        fprintf(out, "%s is checked out in %s, with changes that are not committed: commit or stash them before you take the "
                "release over there.\n", w->branch, w->checked_out);
    if (!w->forward)
        fprintf(out, "%s has commits of its own: a merge is made, under the whole suite.\n", w->branch);
}

static int refuse_conflicts(struct session *s, const struct release *w, struct err *e)
{
    STR_LOCAL(pull);
    str_add(&pull, "git -C ");
    str_add_shell_word(&pull, *w->target ? w->target : "YOUR-CLONE");
    str_add(&pull, " pull --no-rebase ");
    str_add_shell_word(&pull, project_repo_path(&s->in->arena, s->home, w->project));
    return err_set(e, ERR_REFUSED, "%s and DEV change the same places: %.400s. Merge them yourself (%s DEV on %s), then there is "
                                   "nothing left to release", w->branch, texts_join(&w->conflicts, &s->in->arena, ", ", 10), pull.data, w->branch);
}

static int ask(struct session *s, const struct release *w, bool *ret_go, struct err *e)
{
    static const struct choice choices[] = { { 'r', "release" }, { 's', "stop" } };
    char answer = 'r';
    int r = 0;
    if (!option_given(s->in, "yes"))
        r = term_ask(&s->term, arena_printf(&s->in->arena, "Move %s?", w->branch), choices, 2, "say --yes to release without asking",
                     &answer, e);
    *ret_go = answer == 'r';
    return r;
}

/* What is there now, shown and released. */
static int look_and_make(struct session *s, const char *id, struct err *e)
{
    struct invocation *in = s->in;
    struct team *eyes;
    struct release w;
    struct office_note note;
    bool go;
    int r = session_eyes(s, &eyes, e);
    if (r == 0)
        r = team_release_look(eyes, &in->arena, id, option_given(in, "partial"), &w, e);
    if (r < 0)
        return r;
    if (w.nothing) {
        fprintf(in->out, "%s has everything that DEV has; there is nothing to release.\n", w.branch);
        return 0;
    }
    if (w.made) {
        fprintf(in->out, "%s is released already; it is checked out in %s and waits for you there. %s", w.branch, w.checked_out, w.take);
        return 0;
    }
    print_what_comes(in->out, &w);
    if (w.conflicts.count)
        return refuse_conflicts(s, &w, e);
    r = ask(s, &w, &go, e);
    if (r < 0 || !go)
        return r;
    struct office_release wish = { id, option_given(in, "partial"), w.from.hex, w.dev.hex };
    r = desk_do(s, &office_release, &wish, &note, e);
    if (r == 0)
        fprintf(in->out, "Released.\n%s", note.note);
    return r;
}

static int release(struct session *s, struct err *e)
{
    struct invocation *in = s->in;
    struct project p;
    struct team *eyes;
    const char *id;
    int r = session_project(s, in->operands.count ? in->operands.items[0] : NULL, &id, &p, e);
    if (r == 0)
        r = session_eyes(s, &eyes, e);
    if (r < 0)
        return r;
    session_warn_unprotected(s);
    r = look_and_make(s, id, e);
    for (int again = 0; r == ERR_CONFLICT && option_given(in, "yes") && again < MAX_LOOKS; again++) {
        fprintf(in->out, "Somebody else changed it meanwhile; looking again.\n");
        r = look_and_make(s, id, e);
    }
    return r;
}

static int run(struct invocation *in, struct err *e)
{
    return session_with(in, session_open_shared, release, e);
}

const struct command command_release = {
    .name = "release",
    .summary = "move the default branch to what is in DEV",
    .operands = "[PROJECT]",
    .max_operands = 1,
    .options = options,
    .description = "Shows the commits and files that come, and asks. The branch moves forward to DEV, or by a merge under "
                   "the whole suite when it has commits of its own; in the repository given with --repo or the clone of "
                   "the result, too. A branch that is checked out there is left alone, and you are told the command that "
                   "takes the release over. Nothing else ever moves that branch.\n\n"
                   "Exit status: 0 released, nothing to release, or stopped at the question, 1 not possible.",
    .examples = "tandem release\tthe project begun last\n"
                "tandem release units --yes\twithout asking",
    .run = run,
};
