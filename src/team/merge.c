/* merge.c - merges witnessed by the suite. */
#include "team/merge.h"

#include "team/attempt.h"
#include "team/green.h"
#include "team/prompt.h"
#include "team/render.h"

static int show_conflicts(struct step *s, struct conversation_use *c, const struct merge_wish *w,
                          const struct merge_result *m, struct err *e)
{
    const char *files, *text;
    int r = render_files(s, m->tree.hex, &m->conflicts, &files, e);
    if (r < 0)
        return r;
    struct prompt_value values[] = { { "other", w->theirs_name }, { "files", files }, { NULL, NULL } };
    r = prompt_make(s->arena, "developer-conflict", s->site->override_dirs, values, &text, e);
    if (r == 0)
        conversation_add(s, c, TURN_REQUEST, text);
    return r;
}

bool merge_has_markers(const char *bytes, size_t len)
{
    for (const char *p = bytes; p && p < bytes + len; p = memchr(p, '\n', (size_t)(bytes + len - p)), p = p ? p + 1 : NULL)
        if ((size_t)(bytes + len - p) >= 8 && (memcmp(p, "<<<<<<< ", 8) == 0 || memcmp(p, ">>>>>>> ", 8) == 0))
            return true;
    return false;
}

/* In a conflict the Developer may also resolve test files: both sides wrote them. */
static int apply_resolution(struct step *s, const struct merge_result *m, const struct answer_files *files,
                            const char **ret_tree, const char **ret_fault, struct err *e)
{
    *ret_tree = *ret_fault = "";
    struct tree_change *changes = ARENA_ARRAY(s->arena, struct tree_change, files->count);
    struct texts answered = { 0 };
    for (size_t i = 0; i < files->count; i++) {
        const struct answer_file *f = &files->files[i];
        if (!texts_has(&m->conflicts, f->path)) {
            *ret_fault = arena_printf(s->arena, "%s has no conflict; answer only with the files that do", f->path);
            return 0;
        }
        if (merge_has_markers(f->bytes ? f->bytes : "", f->len)) {
            *ret_fault = arena_printf(s->arena, "%s still has conflict markers", f->path);
            return 0;
        }
        texts_add(&answered, s->arena, f->path);
        changes[i] = (struct tree_change){ .path = f->path, .bytes = f->deleted ? NULL : f->bytes, .len = f->len };
    }
    for (size_t i = 0; i < m->conflicts.count; i++)
        if (!texts_has(&answered, m->conflicts.items[i])) {
            *ret_fault = arena_printf(s->arena, "%s is not resolved", m->conflicts.items[i]);
            return 0;
        }
    struct oid tree;
    int r = repo_write_tree(s->site->repo, &m->tree, changes, files->count, &tree, e);
    if (r == ERR_REFUSED) {
        *ret_fault = arena_strdup(s->arena, e->text);
        return 0;
    }
    if (r == 0)
        *ret_tree = arena_strdup(s->arena, tree.hex);
    return r;
}

static int ask_developer(struct step *s, const struct merge_wish *w, const struct merge_result *m,
                         struct conversation_use *c, bool fresh, const char **ret_tree, const char **ret_fault, struct err *e)
{
    int r = 0;
    if (fresh || w->attempt == 0)
        r = show_conflicts(s, c, w, m, e);
    if (r < 0)
        return r;
    struct question q = { .role = ROLE_DEVELOPER, .step = w->step_name, .conversation = c, .temperature = 0.1,
                          .heavy = w->attempt > 0 };
    struct reply reply;
    struct answer_files files;
    struct err violation = { 0 };
    r = ask(s, &q, &reply, e);
    if (r < 0)
        return r;
    *ret_tree = "";
    if (reply.cut)
        *ret_fault = "the answer was cut off before its end";
    else if (answer_read_files(s->arena, reply.text, reply.len, &files, &violation) < 0)
        *ret_fault = arena_strdup(s->arena, violation.text);
    else
        return apply_resolution(s, m, &files, ret_tree, ret_fault, e);
    return 0;
}

static int tell(struct step *s, struct conversation_use *c, const char *fault, const struct suite_run *run, struct err *e)
{
    const char *text;
    json_t *payload = json_object();
    json_put_text(payload, "fault", fault);
    step_event(s, "merge.refused", payload);
    struct prompt_value values[] = { { "fault", fault }, { "output", render_failures(s->arena, &run->results, run->output, 6000) },
                                     { "hint", "" }, { NULL, NULL } };
    int r = prompt_make(s->arena, "developer-retry", s->site->override_dirs, values, &text, e);
    if (r == 0)
        conversation_add(s, c, TURN_OBSERVATION, text);
    return r;
}

int merge_attempt(struct step *s, const struct merge_wish *w, struct merge_made *ret, struct err *e)
{
    struct oid ours = oid_of(w->ours), theirs = oid_of(w->theirs);
    struct merge_result m;
    *ret = (struct merge_made){ .tree = "", .fault = "", .run = { .output = "" }, .run_id = "" };
    int r = repo_merge(s->site->repo, s->arena, &ours, &theirs, &m, e);
    if (r < 0)
        return r;
    ret->clean = m.conflicts.count == 0;
    const char *tree = arena_strdup(s->arena, m.tree.hex);
    struct conversation_use *c = NULL;
    /* A clean merge that is red afterwards is a conflict of meaning: the Developer's as well. */
    if (!ret->clean || w->attempt > 0) {
        bool fresh;
        const char *ours_tree;
        r = tree_of(s, w->ours, &ours_tree, e);
        if (r == 0)
            r = attempt_conversation(s, ROLE_DEVELOPER, ours_tree, &c, &fresh, e);
        if (r == 0 && ret->clean) {
            struct question q = { .role = ROLE_DEVELOPER, .step = w->step_name, .conversation = c, .temperature = 0.1 };
            struct answer_files files;
            r = attempt_ask_files(s, &q, tree, &files, &tree, &ret->fault, e);
        } else if (r == 0) {
            r = ask_developer(s, w, &m, c, fresh, &tree, &ret->fault, e);
        }
        if (r < 0)
            return r;
        if (*ret->fault)
            return tell(s, c, ret->fault, &ret->run, e);
    }
    struct green_judgement j;
    struct green_wish g = { w->step_name, tree, { NULL, 0 }, *w->must_pass, SUITE_COVERAGE };
    r = green_on(s, &g, &ret->run, &j, &ret->run_id, &ret->fault, e);
    if (r < 0)
        return r;
    if (!*ret->fault) {
        ret->tree = tree;
        return 0;
    }
    if (!c) {
        bool fresh;
        const char *ours_tree;
        r = tree_of(s, w->ours, &ours_tree, e);
        if (r == 0)
            r = attempt_conversation(s, ROLE_DEVELOPER, ours_tree, &c, &fresh, e);
        if (r < 0)
            return r;
    }
    return tell(s, c, arena_printf(s->arena, "after the merge with %s %s", w->theirs_name, ret->fault), &ret->run, e);
}
