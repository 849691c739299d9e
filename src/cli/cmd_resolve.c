/* cmd_resolve.c - tandem resolve: a person does the merge that nobody else managed. */
#include "base/str.h"
#include "cli/commands.h"
#include "cli/desk.h"
#include "cli/place.h"
#include "cli/text.h"
#include "team/resolve.h"

#include <sys/stat.h>

static const struct option options[] = {
    { .name = "dir", .letter = 'd', .argument = "DIR", .kind = ARGUMENT_DIR, .doc = "where to open it; ./T-N-conflict without it" },
    { .name = "change-tests", .doc = "take it although it changes tests of a side; verify will say so" },
    { .name = "done", .doc = "take the files as they are there now" },
    { .name = "project", .argument = "PROJECT", .doc = "the project; the one begun last without it" },
    { 0 },
};

enum { MAX_IN_EDITOR = 3, MAX_ROUNDS = 20, SHOWN_FILES = 10 };

struct resolving {
    struct session session;
    struct resolve merge;
    const char *dir; /* absolute; what --dir says, or where it was opened, or the default */
};

static int find_dir(struct resolving *w, struct err *e)
{
    struct invocation *in = w->session.in;
    const char *given = option_value(in, "dir");
    if (!given && *w->merge.dir) {
        w->dir = w->merge.dir;
        return 0;
    }
    const char *name = given ? given : arena_printf(&in->arena, "%s-conflict", w->merge.thing);
    return place_whole(&in->arena, "--dir", name, &w->dir, e);
}

/* ---- taking the result ---- */

static void say_left_out(FILE *out, const struct texts *left_out)
{
    for (size_t i = 0; i < left_out->count && i < SHOWN_FILES; i++)
        fprintf(out, "Not taken, for it is not part of the merge: %s\n", left_out->items[i]);
    if (left_out->count > SHOWN_FILES)
        fprintf(out, "Not taken either: %zu more files\n", left_out->count - SHOWN_FILES);
}

static struct office_merge wish_of(const struct resolving *w)
{
    return (struct office_merge){ .project = w->merge.project, .thing = w->merge.thing, .tree = w->merge.tree,
                                  .changes_tests = w->merge.changes_tests };
}

static int take(struct resolving *w, const struct office_merge *wish, const char **ret_fault, struct err *e)
{
    FILE *out = w->session.in->out;
    struct office_merged merged;
    fprintf(out, "Checking the merge: markers, then the whole suite ...\n");
    fflush(out);
    int r = desk_do(&w->session, &office_resolve_take, wish, &merged, e);
    if (r < 0)
        return r;
    say_left_out(out, &merged.left_out);
    *ret_fault = merged.fault;
    if (*merged.fault)
        fprintf(out, "%s\n", merged.output);
    else
        fprintf(out, "%s is merged with %s and goes on: tandem resume %s\n", w->merge.thing, w->merge.theirs_name, w->merge.project);
    return 0;
}

static int done(struct resolving *w, struct err *e)
{
    const char *fault;
    struct office_merge wish = wish_of(w);
    wish.from_clone = true;
    int r = take(w, &wish, &fault, e);
    return r < 0 || !*fault ? r : err_set(e, ERR_REFUSED, "not taken: %s. Change it in %s and say --done again", fault, w->merge.dir);
}

/* ---- opening a clone ---- */

static int open_clone(struct resolving *w, struct err *e)
{
    FILE *out = w->session.in->out;
    const struct resolve *m = &w->merge;
    struct stat st;
    if (*m->dir && streq(m->dir, w->dir) && stat(w->dir, &st) == 0 && !repo_clone_unfinished(w->dir))
        return err_set(e, ERR_EXISTS, "it is open in %s: edit there and run %s --done, or delete the directory to "
                                      "open it anew", w->dir, project_command(&w->session.in->arena, "resolve", m->project, m->thing));
    int r = desk_do(&w->session, &office_resolve_open, &(struct office_clone){ m->project, m->thing, w->dir },
                    &(struct office_nothing){ 0 }, e);
    if (r == ERR_EXISTS)
        return err_set(e, r, "%s; name another directory with --dir", arena_strdup(&w->session.in->arena, e->text));
    if (r < 0)
        return r;
    fprintf(out, "%s: %s\n\nOpened in %s: a clone in which the merge is under way.\n\n", m->thing, m->why, w->dir);
    fprintf(out, "  ours    %s, %s\n", m->ours_name, m->ours_is);
    fprintf(out, "  theirs  %s, %s\n", m->theirs_name, m->theirs_is);
    fprintf(out, m->conflicts.count ? "\nFiles with conflicts:\n" : "\nGit merges them without conflict, but then tests fail.\n");
    for (size_t i = 0; i < m->conflicts.count; i++)
        fprintf(out, "  %s%s\n", m->conflicts.items[i],
                texts_has(&m->unmarked, m->conflicts.items[i]) ? "  (without markers: git checkout --ours or --theirs chooses a side)" : "");
    fprintf(out, "\nEdit them with your own tools (git status, git mergetool, any editor), then:\n  %s --done\n",
            project_command(&w->session.in->arena, "resolve", m->project, m->thing));
    return 0;
}

/* ---- in the editor ---- */

static bool fits_editor(const struct resolving *w)
{
    const struct term *t = &w->session.term;
    return t->can_ask && !option_given(w->session.in, "dir") && !*w->merge.dir && w->merge.conflicts.count && !w->merge.unmarked.count &&
           w->merge.conflicts.count <= MAX_IN_EDITOR;
}

/* Every file in turn, from what it holds after the round before. */
static int edit_all(struct resolving *w, struct office_file *files, struct err *e)
{
    struct arena *a = &w->session.in->arena;
    for (size_t i = 0; i < w->merge.conflicts.count; i++) {
        const char *slash = strrchr(files[i].path, '/');
        STR_LOCAL(edited);
        int r = term_edit(&w->session.term, slash ? slash + 1 : files[i].path, files[i].text, strlen(files[i].text), &edited, e);
        if (r < 0)
            return r;
        files[i].text = arena_strndup(a, edited.data, edited.len);
    }
    return 0;
}

static int load_files(struct resolving *w, struct office_file **ret, struct err *e)
{
    struct arena *a = &w->session.in->arena;
    struct team *eyes;
    int r = session_eyes(&w->session, &eyes, e);
    if (r < 0)
        return r;
    *ret = ARENA_ARRAY(a, struct office_file, w->merge.conflicts.count);
    for (size_t i = 0; i < w->merge.conflicts.count; i++) {
        struct office_file *f = &(*ret)[i];
        size_t len;
        f->path = w->merge.conflicts.items[i];
        r = team_resolve_file(eyes, a, &w->merge, f->path, &f->text, &len, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int in_editor(struct resolving *w, struct err *e)
{
    static const struct choice choices[] = { { 'e', "edit" }, { 's', "stop" } };
    struct office_file *files;
    const char *fault;
    int r = load_files(w, &files, e);
    struct office_merge wish = wish_of(w);
    wish.files = (struct records){ files, w->merge.conflicts.count };
    for (int round = 0; r == 0 && round < MAX_ROUNDS; round++) {
        char answer;
        r = edit_all(w, files, e);
        if (r == 0)
            r = take(w, &wish, &fault, e);
        if (r == ERR_INVALID) { /* what cannot even be stored is not lost either */
            fault = arena_strdup(&w->session.in->arena, e->text);
            r = 0;
        }
        if (r < 0 || !*fault)
            return r;
        fprintf(w->session.in->out, "Not taken: %s.\n", fault);
        r = term_ask(&w->session.term, "Nothing has changed yet.", choices, 2, "use a terminal", &answer, e);
        if (r == 0 && answer == 's')
            return STATUS_OK;
    }
    return r;
}

static int choose(struct resolving *w, struct err *e)
{
    static const struct choice choices[] = { { 'e', "edit" }, { 'c', "clone" }, { 's', "stop" } };
    char answer;
    if (!fits_editor(w))
        return open_clone(w, e);
    STR_LOCAL(question);
    str_addf(&question, "%s into %s: conflicts in", w->merge.theirs_name, w->merge.ours_name);
    for (size_t i = 0; i < w->merge.conflicts.count; i++)
        str_addf(&question, "%s %s", i ? "," : "", w->merge.conflicts.items[i]);
    str_add(&question, ". Edit here, or open a clone?");
    int r = term_ask(&w->session.term, question.data, choices, 3, "say --dir DIR", &answer, e);
    if (r < 0 || answer == 's')
        return r;
    return answer == 'e' ? in_editor(w, e) : open_clone(w, e);
}

/* ---- the command ---- */

static int resolve(struct resolving *w, struct err *e)
{
    struct invocation *in = w->session.in;
    struct project p;
    struct team *eyes;
    const char *id, *fault;
    int r = session_project(&w->session, option_value(in, "project"), &id, &p, e);
    if (r == 0)
        r = session_eyes(&w->session, &eyes, e);
    if (r == 0)
        session_warn_unprotected(&w->session);
    if (r == 0)
        r = team_resolve_look(eyes, &in->arena, id, in->operands.items[0], &w->merge, e);
    if (r == 0)
        r = find_dir(w, e);
    if (r < 0)
        return r;
    if (option_given(in, "done") && option_given(in, "dir"))
        return err_set(e, ERR_USAGE, "--dir says where to open it; --done takes it from there");
    w->merge.changes_tests = option_given(in, "change-tests");
    struct office_merge wish = wish_of(w);
    if (w->merge.pending)
        return take(w, &wish, &fault, e);
    return option_given(in, "done") ? done(w, e) : choose(w, e);
}

static int run(struct invocation *in, struct err *e)
{
    struct resolving w = { .dir = NULL };
    int r = session_open_shared(&w.session, in, e);
    if (r == 0)
        r = resolve(&w, e);
    session_close(&w.session);
    return r;
}

const struct command command_resolve = {
    .name = "resolve",
    .summary = "merge by hand what the Developer could not merge",
    .operands = "T-N|F-N",
    .min_operands = 1, .max_operands = 1,
    .options = options,
    .description = "Opens both sides of a merge conflict: on a terminal, and for few files, in your editor; otherwise as a "
                   "clone in which the merge is under way, for git mergetool or whatever you use. --done takes the files "
                   "back: no markers may be left, and the whole suite must pass. The merge is committed in your name, and "
                   "the ticket goes on.\n\nExit status: 0 also when you stop at a question, 1 not possible or not taken.",
    .examples = "tandem resolve T-3\topen it\n"
                "tandem resolve T-3 --done\ttake the result\n"
                "tandem resume\tgo on",
    .run = run,
};
