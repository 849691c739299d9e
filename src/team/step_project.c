/* step_project.c - the spec and the plan: what happens before there are tickets. */
#include "team/ask.h"
#include "team/attempt.h"
#include "team/judge.h"
#include "team/plan.h"
#include "team/prompt.h"
#include "team/render.h"

/* ---- the PM writes the spec ---- */

static const char *strip_fence(struct arena *a, const char *text)
{
    /* Some models wrap the whole document in a fence. */
    text += strspn(text, " \n");
    if (!starts_with(text, "```"))
        return text;
    const char *start = strchr(text, '\n');
    size_t len = strlen(text);
    while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
        len--;
    if (!start || len < 6 || memcmp(text + len - 3, "```", 3) != 0)
        return text;
    start++;
    return text + len - 3 > start ? arena_strndup(a, start, (size_t)(text + len - 3 - start)) : text;
}

/* *ret_doubt: what the last answer still seems to leave out.  That is for a person to say, who may
 * see it said in other words. */
static int ask_spec(struct step *s, struct conversation_use *c, const char *step_name, const char **ret_text,
                    const char **ret_fault, const char **ret_doubt, struct err *e)
{
    int64_t tries = s->team->options.limits.replans;
    for (int64_t nth = 0; nth < tries; nth++) {
        struct question q = { .role = ROLE_PM, .step = arena_printf(s->arena, "%s.%lld", step_name, (long long)nth + 1),
                              .conversation = c, .temperature = 0.3, .heavy = nth && nth + 1 == tries };
        struct reply reply;
        int r = ask(s, &q, &reply, e);
        if (r < 0)
            return r;
        const char *text = strip_fence(s->arena, reply.text);
        *ret_fault = reply.cut ? "it was cut off before its end; be shorter"
                               : pm_is_satisfactory(s->arena, s->project.idea, text);
        if (nth + 1 == tries && !reply.cut && !*pm_wrote_specification(s->arena, text)) {
            *ret_doubt = pm_leaves_out(s->arena, s->project.idea, text);
            *ret_fault = "";
        }
        if (!**ret_fault)
            return spec_read(s->arena, text, strlen(text), ret_text, e);
        conversation_add(s, c, TURN_OBSERVATION,
                         arena_printf(s->arena, "That cannot be used yet: %s.\n\nAnswer with the whole specification again.",
                                      *ret_fault));
    }
    return 0;
}

/* What a person made of the last answer; "" when it stands as the model gave it, because then
 * it is in the conversation already. */
static int edited_text(struct step *s, const char *text, bool is_known, const char **ret, struct err *e)
{
    *ret = "";
    struct prompt_value values[] = { { "text", text }, { NULL, NULL } };
    return is_known ? 0 : prompt_make(s->arena, "edited", s->site->overrides.dirs, values, ret, e);
}

/* What the PM is asked: for a specification, or for the change that a person wishes. */
static int spec_request(struct step *s, bool is_fresh, const char **ret, struct err *e)
{
    const char *old = "";
    if (s->project.spec) {
        int r = spec_text(s, &old, e);
        if (r == 0)
            r = edited_text(s, old, !s->project.edited && !is_fresh, &old, e);
        if (r < 0)
            return r;
    }
    const char *hint = *s->project.wish ? arena_printf(s->arena, "A person adds: %s", s->project.wish) : "";
    struct prompt_value values[] = { { "idea", s->project.idea }, { "edited", old }, { "wish", s->project.wish },
                                     { "hint", hint }, { NULL, NULL } };
    return prompt_make(s->arena, s->project.spec ? "pm-change" : "pm-spec", s->site->overrides.dirs, values, ret, e);
}

static int pm_conversation(struct step *s, struct conversation_use **ret, struct err *e)
{
    const char *role_text, *request;
    int r = conversation_open(s, ROLE_PM, ret, e);
    if (r < 0)
        return r;
    bool is_fresh = conversation_empty(*ret);
    if (is_fresh) {
        r = render_system(s, ROLE_PM, &role_text, e);
        if (r < 0)
            return r;
        conversation_add(s, *ret, TURN_SYSTEM, role_text);
    }
    r = spec_request(s, is_fresh, &request, e);
    if (r == 0)
        conversation_add(s, *ret, TURN_REQUEST, request);
    return r;
}

/* A spec or plan is there, which a person approves next where the playbook says so. */
static void written(struct step *s, enum project_state state, const char *event_kind)
{
    s->project.edited = false;
    s->project.wish = "";
    s->project.state = (int)state;
    s->project_changed = true;
    step_event(s, event_kind, NULL);
    s->end = s->stage->gate == GATE_PERSON ? STEP_WAIT : STEP_NEXT;
}

int step_write_spec(struct step *s, struct err *e)
{
    struct conversation_use *c;
    const char *fault = "", *spec = NULL, *doubt = "";
    int r = pm_conversation(s, &c, e);
    if (r == 0)
        r = ask_spec(s, c, arena_printf(s->arena, "spec-%lld", (long long)s->project.spec + 1), &spec, &fault, &doubt, e);
    if (r < 0)
        return r;
    if (*fault) {
        step_block(s, "the PM did not write a usable specification: %s", fault);
        return 0;
    }
    s->project.spec++;
    struct spec doc = { .project = s->project_id, .number = s->project.spec, .text = spec, .origin = "pm", .doubt = doubt,
                        .approved_by = "" };
    batch_insert(s->batch, &spec_type, arena_printf(s->arena, "%s/spec-%lld", s->project_id, (long long)doc.number), &doc);
    written(s, PROJECT_SPEC_APPROVAL, "spec.written");
    if (*doubt) {
        json_t *payload = json_object();
        json_put_text(payload, "why", doubt);
        step_event(s, "spec.doubted", payload);
    }
    return 0;
}

/* ---- the Architect plans ---- */

struct plan_check {
    struct clauses clauses;
    bool need_stack;
};

static const char *check_plan(struct step *s, const void *value, void *ctx)
{
    const struct plan_check *check = ctx;
    const struct plan *p = value;
    if (check->need_stack) {
        struct texts names;
        struct err e;
        if (stack_names(s->arena, s->site->overrides.dirs, &names, &e) < 0)
            return arena_strdup(s->arena, e.text);
        if (!texts_has(&names, p->stack))
            return arena_printf(s->arena, "stack is \"%s\"; allowed: %s", p->stack, render_list(s->arena, &names, ""));
    }
    return architect_is_satisfactory(s->arena, p, &check->clauses);
}

static int plan_request(struct step *s, bool need_stack, const char **ret, struct err *e)
{
    const char *stack_request = "";
    if (!need_stack) {
        int r = site_stack(s->team->house, s->site, s->project.stack, e);
        if (r < 0)
            return r;
        stack_request = arena_printf(s->arena, "The code is written for the stack \"%s\". What its "
                                     "Developers are told:\n\n%s\n", s->project.stack,
                                     stack_guide(s->site->stack, s->arena, false));
    }
    if (need_stack) {
        struct texts names;
        int r = stack_names(s->arena, s->site->overrides.dirs, &names, e);
        if (r < 0)
            return r;
        stack_request = arena_printf(s->arena, "Choose the stack that fits the specification: %s.",
                                     render_list(s->arena, &names, ""));
    }
    struct record asked = plan_record;
    if (!need_stack) { /* its first field */
        asked.fields++;
        asked.field_count--;
    }
    struct prompt_value values[] = { { "stack_request", stack_request },
                                     { "shape", record_shape(&asked, s->arena) }, { NULL, NULL } };
    return prompt_make(s->arena, "architect-plan", s->site->overrides.dirs, values, ret, e);
}

static int edited_plan(struct step *s, const char **ret, struct err *e)
{
    const char *text = "";
    size_t len;
    int r = s->project.edited ? store_blob(s->team->store, s->arena, s->project.plan, &text, &len, e) : 0;
    return r < 0 ? r : edited_text(s, text, !s->project.edited, ret, e);
}

static int change_request(struct step *s, const char **ret, struct err *e)
{
    const char *edited;
    int r = edited_plan(s, &edited, e);
    if (r < 0)
        return r;
    struct prompt_value values[] = { { "edited", edited }, { "wish", s->project.wish }, { NULL, NULL } };
    return prompt_make(s->arena, "architect-change", s->site->overrides.dirs, values, ret, e);
}

static int architect_conversation(struct step *s, bool need_stack, struct conversation_use **ret, struct err *e)
{
    const char *request;
    bool is_fresh;
    int r = attempt_conversation(s, ROLE_ARCHITECT, s->project.base, ret, &is_fresh, e);
    if (r < 0)
        return r;
    bool wishes = !is_fresh && *s->project.wish;
    if (!is_fresh && !wishes && !conversation_answered(*ret))
        return 0;
    /* The plan again, without a wish: a person lets it try once more. */
    r = wishes ? change_request(s, &request, e) : plan_request(s, need_stack, &request, e);
    if (r == 0)
        conversation_add(s, *ret, TURN_REQUEST, request);
    return r;
}

int step_plan(struct step *s, struct err *e)
{
    const char *spec;
    struct plan_check check = { .need_stack = !*s->project.stack };
    int r = spec_text(s, &spec, e);
    if (r == 0)
        r = spec_clauses(s->arena, spec, &check.clauses, e);
    struct conversation_use *c = NULL;
    if (r == 0)
        r = architect_conversation(s, check.need_stack, &c, e);
    if (r < 0)
        return r;
    struct plan plan;
    struct question q = { .role = ROLE_ARCHITECT, .step = arena_printf(s->arena, "plan-%lld", (long long)s->project.steps),
                          .conversation = c, .temperature = 0.2 };
    r = ask_json(s, &q, &plan_record, &plan, check_plan, &check, e);
    if (r == ERR_INVALID) {
        step_block(s, "the Architect did not make a usable plan: %s", e->text);
        return 0;
    }
    if (r < 0)
        return r;
    if (!check.need_stack)
        plan.stack = s->project.stack;
    STR_LOCAL(text);
    json_write(&text, json_keep(s->arena, record_write(&plan_record, &plan)));
    const char *kept = arena_strndup(s->arena, text.data, text.len); /* the batch borrows it */
    s->project.plan = arena_strdup(s->arena, batch_blob(s->batch, kept, text.len).hex);
    written(s, PROJECT_PLAN_APPROVAL, "plan.written");
    return 0;
}
