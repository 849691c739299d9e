/* Documents: what older versions wrote can be read. */
#include "check.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "team/docs.h"

static void a_project_that_was_handed_over_by_an_older_version_is_read(void **state)
{
    (void)state;
    static const char *const texts[] = { "{\"name\": \"Units\", \"state\": \"done\", \"handed_over\": true}",
                                         "{\"name\": \"Units\", \"handed_over\": false}" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ARENA_LOCAL(a);
        json_t *v;
        struct err e;
        struct project p;
        check_ok(json_parse(&a, texts[i], strlen(texts[i]), &v, &e), &e);
        check_ok(record_read(project_type.record, &a, v, &p, &e), &e);
        assert_string_equal(p.handed_commit, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_project_that_was_handed_over_by_an_older_version_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
