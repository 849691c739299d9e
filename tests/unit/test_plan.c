/* Plans: what the Architect's answer must hold, and the order it becomes. */
#include "check.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "team/judge.h"
#include "team/plan.h"

static const char *judge(struct arena *a, const char *json, size_t clauses)
{
    json_t *v;
    struct err e;
    struct plan p;
    check_ok(json_parse(a, json, strlen(json), &v, &e), &e);
    if (record_read(&plan_record, a, v, &p, &e) < 0)
        return arena_strdup(a, e.text);
    struct clause items[10] = { { "", "" } };
    struct clauses c = { items, clauses };
    return architect_is_satisfactory(a, &p, &c);
}

#define F "\"functionalities\":[{\"id\":\"f\",\"title\":\"F\"}]"
#define CRIT "\"criteria\":[{\"clause\":1,\"text\":\"x\"}]"

static void a_sound_plan_is_satisfactory(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    assert_string_equal(judge(&a, "{" F ",\"tickets\":[{\"id\":\"a\",\"functionality\":\"f\",\"title\":\"A\"," CRIT
                              "},{\"id\":\"b\",\"functionality\":\"f\",\"title\":\"B\",\"after\":[\"a\"]," CRIT "}]}", 1), "");
}

static void cycles_and_dangling_references_are_named(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    assert_non_null(strstr(judge(&a, "{" F ",\"tickets\":[{\"id\":\"a\",\"functionality\":\"f\",\"title\":\"A\",\"after\":[\"b\"],"
        CRIT "},{\"id\":\"b\",\"functionality\":\"f\",\"title\":\"B\",\"after\":[\"a\"]," CRIT "}]}", 1), "cycle"));
    assert_non_null(strstr(judge(&a, "{" F ",\"tickets\":[{\"id\":\"a\",\"functionality\":\"f\",\"title\":\"A\",\"after\":[\"a\"],"
        CRIT "}]}", 1), "depends on itself"));
    assert_non_null(strstr(judge(&a, "{" F ",\"tickets\":[{\"id\":\"a\",\"functionality\":\"f\",\"title\":\"A\",\"after\":[\"z\"],"
        CRIT "}]}", 1), "\"z\", which the plan does not have"));
    assert_non_null(strstr(judge(&a, "{" F ",\"tickets\":[{\"id\":\"a\",\"functionality\":\"g\",\"title\":\"A\"," CRIT "}]}", 1),
                           "functionality \"g\""));
}

static void ids_are_unique_and_behaviour_has_criteria(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    assert_non_null(strstr(judge(&a, "{" F ",\"tickets\":[{\"id\":\"a\",\"functionality\":\"f\",\"title\":\"A\"," CRIT
        "},{\"id\":\"a\",\"functionality\":\"f\",\"title\":\"B\"," CRIT "}]}", 1), "used twice"));
    assert_non_null(strstr(judge(&a, "{" F ",\"tickets\":[{\"id\":\"a\",\"functionality\":\"f\",\"title\":\"A\"}]}", 1),
                           "has no criteria"));
    assert_string_equal(judge(&a, "{" F ",\"tickets\":[{\"id\":\"a\",\"functionality\":\"f\",\"title\":\"A\",\"kind\":\"document\"}]}", 1), "");
    assert_non_null(strstr(judge(&a, "{\"functionalities\":[{\"id\":\"f\",\"title\":\"F\"},{\"id\":\"g\",\"title\":\"G\"}],\"tickets\":["
        "{\"id\":\"a\",\"functionality\":\"f\",\"title\":\"A\"," CRIT "}]}", 1), "\"g\" has no ticket"));
}

static void clauses_that_do_not_exist_are_refused(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    assert_non_null(strstr(judge(&a, "{" F ",\"tickets\":[{\"id\":\"a\",\"functionality\":\"f\",\"title\":\"A\","
        "\"criteria\":[{\"clause\":3,\"text\":\"x\"}]}]}", 2), "names clause 3; the specification has clauses 1 to 2"));
}

static void an_empty_plan_is_refused_by_its_shape(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    assert_non_null(strstr(judge(&a, "{" F ",\"tickets\":[]}", 1), "at least 1"));
}

static void a_person_sees_which_clauses_no_criterion_names(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    json_t *v;
    struct plan p;
    static const char json[] = "{" F ",\"tickets\":[{\"id\":\"a\",\"functionality\":\"f\",\"title\":\"A\"," CRIT "}]}";
    check_ok(json_parse(&a, json, strlen(json), &v, &e), &e);
    check_ok(record_read(&plan_record, &a, v, &p, &e), &e);
    struct clause items[] = { { "", "one" }, { "", "no network" }, { "", "a log\nof days" } };
    const char *text = plan_text(&a, &p, &(struct clauses){ items, 3 });
    assert_non_null(strstr(text, "\nClauses of the specification:\n  [1] one\n\nClauses that no criterion names:\n  [2] no network\n  [3] a log..."));
    assert_null(strstr(plan_text(&a, &p, &(struct clauses){ items, 1 }), "no criterion"));
}

static void a_criterion_is_one_line(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    json_t *v;
    struct plan p;
    static const char json[] = "{" F ",\"tickets\":[{\"id\":\"a\",\"functionality\":\"f\",\"title\":\"A\",\"criteria\":"
                               "[{\"clause\":1,\"text\":\"it prints 'read\\nrun\\n'\"}]}]}";
    check_ok(json_parse(&a, json, strlen(json), &v, &e), &e);
    check_ok(record_read(&plan_record, &a, v, &p, &e), &e);
    struct clause items[] = { { "", "one" } };
    assert_non_null(strstr(plan_text(&a, &p, &(struct clauses){ items, 1 }), "[1] it prints 'read\\nrun\\n'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_plan_is_satisfactory),
        cmocka_unit_test(cycles_and_dangling_references_are_named),
        cmocka_unit_test(ids_are_unique_and_behaviour_has_criteria),
        cmocka_unit_test(clauses_that_do_not_exist_are_refused),
        cmocka_unit_test(a_person_sees_which_clauses_no_criterion_names),
        cmocka_unit_test(a_criterion_is_one_line),
        cmocka_unit_test(an_empty_plan_is_refused_by_its_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
