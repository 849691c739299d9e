/* merge.c - merges witnessed by the suite. */
#include "team/merge.h"

#include "team/attempt.h"
#include "team/green.h"
#include "team/prompt.h"
#include "team/render.h"
#include "team/tree_limit.h"
#include "team/whole.h"

enum { MAX_FILES = 32 * 1024, MAX_OUTPUT = 6000, MAX_ATTEMPTS = 3 };

struct merging {
    struct step *step;
    const struct merge_wish *wish;
    struct merge_result merged;
    struct conversation_use *conversation; /* NULL until the Developer is needed */
    struct edit_use edits;                 /* of its answer */
};

/* The Developer's conversation, which knows our side. */
static int open_conversation(struct merging *m, struct err *e)
{
    const char *tree;
    bool fresh;
    if (m->conversation)
        return 0;
    int r = tree_of(m->step, m->wish->ours, &tree, e);
    return r < 0 ? r : attempt_conversation(m->step, ROLE_DEVELOPER, tree, &m->conversation, &fresh, e);
}

static int request(struct merging *m, const char *template, const char *fault, const struct texts *paths,
                   const struct suite_run *run, struct err *e)
{
    struct step *s = m->step;
    const char *files, *text, *output = run ? render_failures(s->arena, &run->results, run->output, MAX_OUTPUT) : "";
    int r = render_files(s, m->merged.tree.hex, paths, &files, e);
    if (r < 0)
        return r;
    struct prompt_value values[] = { { "other", m->wish->theirs_name }, { "files", files }, { "fault", fault },
                                     { "output", output }, { "form", render_form(s, ROLE_DEVELOPER) }, { NULL, NULL } };
    r = prompt_make(s->arena, template, s->site->overrides.dirs, values, &text, e);
    if (r == 0 && *m->wish->hint)
        text = arena_printf(s->arena, "%s\n\nA person adds: %s", text, m->wish->hint);
    if (r == 0)
        conversation_add(s, m->conversation, TURN_REQUEST, text);
    return r;
}

static int show_conflicts(struct merging *m, struct err *e)
{
    return request(m, "developer-conflict", "", &m->merged.conflicts, NULL, e);
}

bool merge_has_markers(const char *bytes, size_t len)
{
    for (const char *p = bytes; p && p < bytes + len; p = memchr(p, '\n', (size_t)(bytes + len - p)), p = p ? p + 1 : NULL)
        if ((size_t)(bytes + len - p) >= 8 && (memcmp(p, "<<<<<<< ", 8) == 0 || memcmp(p, ">>>>>>> ", 8) == 0))
            return true;
    return false;
}

/* ---- what only a person can decide ---- */

/* Git puts no markers into a file that is binary here, there, or where both come from: it
 * leaves our side.  What is gone on one side the Developer keeps or deletes. */
static int look_at_conflict(struct merging *m, const char *path, const char **ret_fault, struct err *e)
{
    struct step *s = m->step;
    const struct oid places[] = { oid_of(m->wish->ours), oid_of(m->wish->theirs), m->merged.tree };
    const char *bytes[3];
    size_t len[3];
    for (size_t i = 0; i < 3; i++) {
        int r = repo_file(s->site->repo, s->arena, &places[i], path, &bytes[i], &len[i], e);
        if (r < 0)
            return r == ERR_NOT_FOUND ? 0 : r;
    }
    if (!merge_has_markers(bytes[2], len[2]))
        *ret_fault = arena_printf(s->arena, "%s is not text, and a person has to choose between the %zu bytes on %s and the %zu "
                                            "bytes on %s", path, len[0], m->wish->ours_name, len[1], m->wish->theirs_name);
    return 0;
}

static int look_at_merged(struct merging *m, const char **ret_fault, struct err *e)
{
    struct step *s = m->step;
    int r = tree_within(s->site->repo, &m->merged.tree, &s->team->options.limits, e);
    if (r == ERR_LIMIT) {
        *ret_fault = arena_strdup(s->arena, e->text);
        return 0;
    }
    for (size_t i = 0; r == 0 && !**ret_fault && i < m->merged.conflicts.count; i++)
        r = look_at_conflict(m, m->merged.conflicts.items[i], ret_fault, e);
    return r;
}

/* ---- the Developer's part ---- */

/* What the other side brings: the Developer has not seen it. */
static int brought_files(struct merging *m, struct texts *ret, struct err *e)
{
    struct oid ours = oid_of(m->wish->ours);
    struct texts changed;
    struct tree tree;
    int64_t bytes = 0;
    struct repo *repo = m->step->site->repo;
    int r = repo_changed(repo, m->step->arena, &ours, &m->merged.tree, &changed, e);
    if (r == 0)
        r = repo_tree(repo, m->step->arena, &m->merged.tree, &tree, e);
    if (r == 0)
        r = repo_tree_sizes(repo, &tree, e);
    for (size_t i = 0; r == 0 && i < changed.count; i++) {
        const struct tree_file *f = tree_find(&tree, changed.items[i]);
        if (f && !f->symlink && bytes + f->size <= MAX_FILES) {
            texts_add(ret, m->step->arena, f->path);
            bytes += f->size;
        }
    }
    return r;
}

/* A conflicted file may be a test: both sides wrote it.  The others are the Developer's as
 * always. */
static const char *refuse_file(struct merging *m, const struct answer_file *f)
{
    return texts_has(&m->merged.conflicts, f->path) ? "" : attempt_refuse_path(m->step, ROLE_DEVELOPER, f);
}

static int look_at_file(struct merging *m, struct answer_file *f, const char **ret_fault, struct err *e)
{
    *ret_fault = refuse_file(m, f);
    int r = **ret_fault ? 0 : whole_file(m->step, &m->merged.tree, f, &m->edits, ret_fault, e);
    if (r == 0 && !**ret_fault && texts_has(&m->merged.conflicts, f->path) && merge_has_markers(f->bytes, f->len))
        *ret_fault = arena_printf(m->step->arena, "%s still has conflict markers", f->path);
    return r;
}

static int look_at_files(struct merging *m, const struct answer_files *files, const char **ret_fault, struct err *e)
{
    struct texts answered = { 0 };
    int r = 0;
    for (size_t i = 0; r == 0 && !**ret_fault && i < files->count; i++) {
        texts_add(&answered, m->step->arena, files->files[i].path);
        r = look_at_file(m, &files->files[i], ret_fault, e);
    }
    if (r == 0)
        edit_use_note(m->step, ROLE_DEVELOPER, &m->edits);
    for (size_t i = 0; r == 0 && !**ret_fault && i < m->merged.conflicts.count; i++)
        if (!texts_has(&answered, m->merged.conflicts.items[i]))
            *ret_fault = arena_printf(m->step->arena, "%s is not resolved", m->merged.conflicts.items[i]);
    return r;
}

static int apply_resolution(struct merging *m, const struct answer_files *files, const char **ret_tree, const char **ret_fault,
                            struct err *e)
{
    struct step *s = m->step;
    int r = look_at_files(m, files, ret_fault, e);
    if (r < 0 || **ret_fault)
        return r;
    struct oid tree;
    r = repo_write_tree(s->site->repo, &m->merged.tree, whole_changes(s->arena, files), files->count, &tree, e);
    if (r == 0)
        r = tree_within(s->site->repo, &tree, &s->team->options.limits, e);
    if (r == ERR_REFUSED || r == ERR_LIMIT) {
        *ret_fault = arena_strdup(s->arena, e->text);
        return 0;
    }
    if (r == 0)
        *ret_tree = arena_strdup(s->arena, tree.hex);
    return r;
}

static int ask_developer(struct merging *m, const char **ret_tree, const char **ret_fault, struct err *e)
{
    struct step *s = m->step;
    struct question q = { .role = ROLE_DEVELOPER, .step = m->wish->step_name, .conversation = m->conversation, .temperature = 0.1,
                          .heavy = m->wish->attempt > 1 };
    struct reply reply;
    struct answer_files files;
    struct err violation = { 0 };
    if (q.heavy && s->team->options.heavy[ROLE_DEVELOPER])
        step_event_of(s, ROLE_DEVELOPER, "attempt.heavier", NULL);
    int r = ask(s, &q, &reply, e);
    if (r < 0)
        return r;
    if (reply.cut)
        *ret_fault = "the answer was cut off before its end";
    else if (answer_read_files(s->arena, reply.text, reply.len, &files, &violation) < 0)
        *ret_fault = arena_strdup(s->arena, violation.text);
    else
        return apply_resolution(m, &files, ret_tree, ret_fault, e);
    return 0;
}

static void put_refused(struct step *s, enum role whose, const char *fault)
{
    json_t *payload = json_object();
    json_put_text(payload, "fault", fault);
    step_event_of(s, whose, "merge.refused", payload);
}

/* Why this attempt failed; the next one begins with it. */
static int tell(struct merging *m, const char *fault, const struct suite_run *run, struct err *e)
{
    struct step *s = m->step;
    const char *text;
    put_refused(s, ROLE_DEVELOPER, fault);
    struct prompt_value values[] = { { "fault", fault }, { "output", render_failures(s->arena, &run->results, run->output, MAX_OUTPUT) },
                                     { "hint", "" }, { "form", render_form(s, ROLE_DEVELOPER) }, { NULL, NULL } };
    int r = prompt_make(s->arena, "developer-retry", s->site->overrides.dirs, values, &text, e);
    if (r == 0)
        conversation_add(s, m->conversation, TURN_OBSERVATION, text);
    return r;
}

/* Git merges, and the suite is red: a conflict of meaning, which is the Developer's as well. */
static int tell_red(struct merging *m, const char *fault, const struct suite_run *run, struct err *e)
{
    struct texts brought = { 0 };
    put_refused(m->step, ROLE_ENGINE, fault);
    int r = open_conversation(m, e);
    if (r == 0)
        r = brought_files(m, &brought, e);
    return r < 0 ? r : request(m, "developer-merge", fault, &brought, run, e);
}

/* The Developer's turn, unless git alone may do.  *ret_fault: why there is no tree. */
static int find_tree(struct merging *m, const char **ret_tree, const char **ret_fault, struct err *e)
{
    if (!m->merged.conflicts.count && !m->wish->attempt)
        return 0;
    int r = open_conversation(m, e);
    if (r == 0 && !m->wish->attempt)
        r = show_conflicts(m, e);
    return r < 0 ? r : ask_developer(m, ret_tree, ret_fault, e);
}

static int keeps_tests(struct merging *m, const char *tree, const char **ret_fault, struct err *e)
{
    const struct merge_wish *w = m->wish;
    struct merge_judged judged = { w->ours, w->theirs, tree, w->ours_name, w->theirs_name };
    int r = merge_keeps_tests(m->step->site, m->step->arena, &judged, ret_fault, e);
    if (r == 0 && **ret_fault)
        *ret_fault = arena_printf(m->step->arena, "%s. A merge keeps every test of both sides as it is", *ret_fault);
    return r;
}

void merge_failed(struct step *s, int64_t *attempt, const struct merge_made *made, const char *cannot)
{
    s->end = STEP_AGAIN;
    if (++*attempt >= MAX_ATTEMPTS || made->needs_person)
        step_block(s, "%s: %s. `%s` opens both sides", cannot, made->fault, step_command(s, "resolve"));
}

int merge_attempt(struct step *s, const struct merge_wish *w, struct merge_made *ret, struct err *e)
{
    struct oid ours = oid_of(w->ours), theirs = oid_of(w->theirs);
    struct merging m = { .step = s, .wish = w, .edits = EDIT_USE_INIT };
    *ret = (struct merge_made){ .tree = "", .fault = "", .run = { .output = "" }, .run_id = "" };
    int r = repo_merge(s->site->repo, s->arena, &ours, &theirs, &m.merged, e);
    if (r == 0)
        r = look_at_merged(&m, &ret->fault, e);
    if (r < 0)
        return r;
    if (*ret->fault) {
        put_refused(s, ROLE_ENGINE, ret->fault);
        ret->needs_person = true;
        return 0;
    }
    const char *tree = arena_strdup(s->arena, m.merged.tree.hex);
    r = find_tree(&m, &tree, &ret->fault, e);
    if (r < 0)
        return r;
    ret->run.output = m.edits.shown;
    if (!*ret->fault)
        r = keeps_tests(&m, tree, &ret->fault, e);
    if (r < 0)
        return r;
    if (*ret->fault && !m.conversation) { /* tests that the Developer may not touch */
        put_refused(s, ROLE_ENGINE, ret->fault);
        ret->needs_person = true;
        return 0;
    }
    if (*ret->fault)
        return tell(&m, ret->fault, &ret->run, e);
    struct green_judgement j;
    struct green_wish g = { w->step_name, tree, { NULL, 0 }, *w->must_pass, SUITE_COVERAGE };
    r = green_on(s, &g, &ret->run, &j, &ret->run_id, &ret->fault, e);
    if (r < 0)
        return r;
    if (!*ret->fault) {
        s->writer = m.conversation ? ROLE_DEVELOPER : ROLE_ENGINE;
        ret->tree = tree;
        return 0;
    }
    const char *fault = arena_printf(s->arena, "after the merge with %s %s", w->theirs_name, ret->fault);
    return m.conversation ? tell(&m, fault, &ret->run, e) : tell_red(&m, fault, &ret->run, e);
}
