/* Playbooks: the stages of agile, in the order in which they are walked; templates. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "team/mutate.h"
#include "team/playbook.h"
#include "team/prompt.h"
#include "os/share.h"
#include "tmpdir.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void agile_walks_criteria_as_a_loop_inside_the_ticket(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct playbook p;
    check_ok(playbook_load(&a, "agile", NULL, &p, &e), &e);
    const struct stage *s = playbook_first(&p, FOR_TICKET);
    STR_LOCAL(walk);
    int left = 2; /* criteria */
    for (int i = 0; s && i < 20; i++) {
        str_addf(&walk, "%s ", s->name);
        if (streq(s->name, "green"))
            left--;
        s = playbook_next(&p, s, left > 0, 0);
    }
    assert_string_equal(walk.data, "start scope red green red green integrate review merge ");
}

static void conditions_open_stages_that_are_otherwise_passed_over(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct playbook p;
    check_ok(playbook_load(&a, "agile", NULL, &p, &e), &e);
    const struct stage *scope = playbook_stage(&p, "scope");
    assert_string_equal(playbook_next(&p, scope, false, 1u << WHEN_NO_BEHAVIOUR)->name, "work");
    assert_string_equal(playbook_next(&p, scope, false, 1u << WHEN_ASKED)->name, "refactor");
    assert_string_equal(playbook_next(&p, scope, false, 0)->name, "integrate");
    assert_null(playbook_next(&p, playbook_stage(&p, "plan"), false, 0));
    assert_null(playbook_next(&p, playbook_stage(&p, "deliver"), false, 0));
    assert_string_equal(playbook_next(&p, playbook_stage(&p, "appraise"), false, 0)->name, "deliver");
}

static void an_unknown_playbook_is_named(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct playbook p;
    check_err(playbook_load(&a, "waterfall", NULL, &p, &e), ERR_NOT_FOUND, &e, "waterfall");
}

/* ---- as people change them ---- */

/* Our playbook with `from` replaced by `to`, in the place of ours; loads it. */
static int load_changed(struct arena *a, const struct tmpdir *dir, const char *from, const char *to, struct err *e)
{
    const char *ours, *const dirs[] = { dir->path, NULL };
    size_t len;
    struct playbook p;
    STR_LOCAL(text);
    check_ok(share_read(a, "playbooks/agile.yaml", NULL, &ours, &len, e), e);
    const char *at = strstr(ours, from);
    assert_non_null(at);
    str_addf(&text, "%.*s%s%s", (int)(at - ours), ours, to, at + strlen(from));
    check_ok(file_write(dir->fd, "playbooks/agile.yaml", text.data, text.len, 0600, false, e), e);
    return playbook_load(a, "agile", dirs, &p, e);
}

static void a_playbook_that_cannot_work_says_where_and_what_may_stand_there(void **state)
{
    (void)state;
    static const struct { const char *from, *to, *said; } faults[] = {
        { "step: green", "step: blue", "agile.yaml:14: stages[5].step is \"blue\"; allowed: write-spec, plan, start, scope, red, green," },
        { "role: tester", "role: clown", "agile.yaml:13: stages[4].role is \"clown\"; allowed: engine, pm, architect, developer, tester" },
        { "name: review", "name: merge", "stages[10].name is \"merge\", which is there already" },
        { "name: refactor", "name: polish", "stages[7].name is \"polish\"; a stage with the step refactor has to be called so too" },
        { "step: red", "step: review", "stages has none with {step: red, for: criterion}" },
        { "for: functionality}\n  - {name: deliver", "for: functionality}\n  #", "stages has none with {step: deliver, for: functionality}" },
        { "for: criterion", "for: everyone", "stages[4].for is \"everyone\"; allowed: project, functionality, ticket, criterion" },
    };
    ARENA_LOCAL(a);
    struct err e;
    struct tmpdir dir = tmpdir_make();
    check_ok(load_changed(&a, &dir, "name: review", "name: a-look", &e), &e);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        check_err(load_changed(&a, &dir, faults[i].from, faults[i].to, &e), ERR_INVALID, &e, faults[i].said);
        assert_true(starts_with(e.text, dir.path)); /* the whole path */
    }
    tmpdir_remove(&dir);
}

static void a_prompt_of_the_persons_own_has_no_placeholder_that_ours_has_not(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct tmpdir dir = tmpdir_make();
    const char *const dirs[] = { dir.path, NULL }, *good = "Be short.\n{{guide}}\n", *wrong = "Be short.\n{{guide}}\n{{wrong}}\n";
    check_ok(prompt_check(&a, "tester", dirs, &e), &e);
    check_ok(file_write(dir.fd, "prompts/tester.md", good, strlen(good), 0600, false, &e), &e);
    check_ok(prompt_check(&a, "tester", dirs, &e), &e);
    check_ok(file_write(dir.fd, "prompts/tester.md", wrong, strlen(wrong), 0600, false, &e), &e);
    check_err(prompt_check(&a, "tester", dirs, &e), ERR_INVALID, &e,
              arena_printf(&a, "%s/prompts/tester.md: line 3: the placeholder {{wrong}} is not known here; known are {{guide}}", dir.path));
    check_ok(file_write(dir.fd, "prompts/testr.md", good, strlen(good), 0600, false, &e), &e);
    check_err(prompt_check(&a, "testr", dirs, &e), ERR_INVALID, &e, "prompts/testr.md takes the place of no prompt of ours");
    tmpdir_remove(&dir);
}

static void placeholders_are_filled_and_empty_lines_go(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    const char *out;
    struct prompt_value v[] = { { "a", "one" }, { "none", "" }, { "block", "x\ny\n" }, { NULL, NULL } };
    check_ok(prompt_fill(&a, "{{a}} and {{a}}\n{{none}}\n{{block}}\nend {{none}}.\n", v, &out, &e), &e);
    assert_string_equal(out, "one and one\nx\ny\nend .");
    check_ok(prompt_fill(&a, "{{none}}\n\n{{a}}\n\n{{none}}\n\nend\n", v, &out, &e), &e);
    assert_string_equal(out, "one\n\nend");
    check_err(prompt_fill(&a, "{{a}}\n{{b}}", v, &out, &e), ERR_INVALID, &e,
              "line 2: the placeholder {{b}} is not known here; known are {{a}}, {{none}}, {{block}}");
    check_err(prompt_fill(&a, "\n\n{{a", v, &out, &e), ERR_INVALID, &e, "line 3: a placeholder begins with {{ and has no }}");
}

static void values_are_not_searched_for_placeholders(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    const char *out;
    struct prompt_value v[] = { { "a", "{{secret}}" }, { NULL, NULL } };
    check_ok(prompt_fill(&a, "<{{a}}>", v, &out, &e), &e);
    assert_string_equal(out, "<{{secret}}>");
}

static void mutants_change_one_place_each(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    const char *code = "def f(x):\n    return x == 10\n";
    STR_LOCAL(all);
    for (size_t n = 0; n < 20; n++) {
        const struct mutant *m = mutant_of(&a, code, strlen(code), n);
        if (!m)
            break;
        str_addf(&all, "%d:%s;", (int)m->line, m->what);
        assert_true(m->len != strlen(code) || memcmp(m->bytes, code, m->len) != 0);
    }
    assert_string_equal(all.data, "2:return  -> return not ;2:return  -> return !;2:return  -> return -;2:== -> !=;2:10 -> 101;");
    assert_null(mutant_of(&a, "x_true y1", 9, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agile_walks_criteria_as_a_loop_inside_the_ticket),
        cmocka_unit_test(conditions_open_stages_that_are_otherwise_passed_over),
        cmocka_unit_test(an_unknown_playbook_is_named),
        cmocka_unit_test(a_playbook_that_cannot_work_says_where_and_what_may_stand_there),
        cmocka_unit_test(a_prompt_of_the_persons_own_has_no_placeholder_that_ours_has_not),
        cmocka_unit_test(placeholders_are_filled_and_empty_lines_go),
        cmocka_unit_test(values_are_not_searched_for_placeholders),
        cmocka_unit_test(mutants_change_one_place_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
