/* Playbooks: the stages of agile, in the order in which they are walked; templates. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "team/mutate.h"
#include "team/playbook.h"
#include "team/prompt.h"

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
    check_err(prompt_fill(&a, "{{b}}", v, &out, &e), ERR_INVALID, &e, "{{b}}");
    check_err(prompt_fill(&a, "{{a", v, &out, &e), ERR_INVALID, &e, "no }}");
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
        cmocka_unit_test(placeholders_are_filled_and_empty_lines_go),
        cmocka_unit_test(values_are_not_searched_for_placeholders),
        cmocka_unit_test(mutants_change_one_place_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
