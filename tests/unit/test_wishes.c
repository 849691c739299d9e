/* What people can ask of projects, as other programs are told of it. */
#include "check.h"

#include "base/str.h"
#include "office/office.h"
#include "web/office_api.h"

static void look(const struct record *r)
{
    for (size_t i = 0; i < r->field_count; i++) {
        const struct field *f = &r->fields[i];
        if (!f->doc || !*f->doc)
            fail_msg("%s.%s says nothing of itself", r->name, f->name);
        if (f->of)
            look(f->of);
    }
}

static void every_member_says_what_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; office_verbs[i]; i++) {
        assert_true(*office_verbs[i]->doc);
        look(office_verbs[i]->wish);
        look(office_verbs[i]->answer);
    }
    look(&office_sitting_record);
    look(&office_ended_record);
    look(&office_envelope_record);
    look(&office_pulse_record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_says_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
