/* Texts, each once, in order; found however many there are. */
#include "check.h"

#include "base/set.h"
#include "base/str.h"

enum { MANY = 5000 };

static const char *nth(struct arena *a, int i)
{
    return arena_printf(a, "tests/test_units.py::Convert::test_%d", i * 7919 % MANY);
}

static void what_comes_again_is_not_added(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct set s = SET_IN(&a);
    assert_true(set_add(&s, "b"));
    assert_true(set_add(&s, "a"));
    assert_false(set_add(&s, "b"));
    assert_true(set_add(&s, ""));
    assert_false(set_add(&s, ""));
    assert_string_equal(texts_join(&s.texts, &a, ",", 0), "b,a,");
}

static void an_empty_set_has_nothing(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct set s = SET_IN(&a), none = set_of(&a, &(struct texts){ 0 });
    assert_false(set_has(&s, "a"));
    assert_false(set_has(&s, ""));
    assert_false(set_has(&none, ""));
}

static void a_text_is_copied(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct set s = SET_IN(&a);
    char text[] = "first";
    set_add(&s, text);
    text[0] = 'w';
    assert_true(set_has(&s, "first"));
    assert_false(set_has(&s, "worst"));
    assert_string_equal(s.texts.items[0], "first");
}

/* Many more than slots at the beginning, so that some share one. */
static void many_are_found_and_stay_in_order(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct set s = SET_IN(&a);
    for (int i = 0; i < MANY; i++)
        assert_true(set_add(&s, nth(&a, i)));
    for (int i = 0; i < MANY; i++) {
        assert_string_equal(s.texts.items[i], nth(&a, i));
        assert_true(set_has(&s, nth(&a, i)));
        assert_false(set_add(&s, nth(&a, i)));
        assert_false(set_has(&s, arena_printf(&a, "tests/test_units.py::Convert::test_%d", MANY + i)));
    }
    assert_int_equal(s.texts.count, MANY);
}

static void a_set_of_a_list_can_grow_and_leaves_the_list_alone(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    for (size_t count = 0; count < 40; count++) {
        struct texts list = { 0 };
        for (size_t i = 0; i < count; i++)
            texts_add(&list, &a, nth(&a, (int)i));
        if (count)
            texts_add(&list, &a, list.items[0]);
        struct set s = set_of(&a, &list);
        assert_int_equal(s.texts.count, count);
        for (size_t i = 0; i < 40; i++)
            assert_int_equal(set_add(&s, nth(&a, (int)i)), i >= count);
        for (size_t i = 0; i < 40; i++)
            assert_string_equal(s.texts.items[i], nth(&a, (int)i));
        assert_int_equal(list.count, count ? count + 1 : 0);
        assert_true(s.texts.items != list.items);
    }
}

static void lists_are_added_with_and_without_another(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    const char *some[] = { "c", "a", "b", "a" }, *flaky[] = { "a", "x" };
    struct texts from = { some, 4 }, but = { flaky, 2 };
    struct set all = SET_IN(&a), steady = SET_IN(&a);
    set_add(&all, "b");
    set_add_all(&all, &from);
    assert_string_equal(texts_join(&all.texts, &a, ",", 0), "b,c,a");
    set_add_but(&steady, &from, &but);
    assert_string_equal(texts_join(&steady.texts, &a, ",", 0), "c,b");
    set_add_but(&steady, &from, &(struct texts){ 0 });
    assert_string_equal(texts_join(&steady.texts, &a, ",", 0), "c,b,a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_again_is_not_added),
        cmocka_unit_test(an_empty_set_has_nothing),
        cmocka_unit_test(a_text_is_copied),
        cmocka_unit_test(many_are_found_and_stay_in_order),
        cmocka_unit_test(a_set_of_a_list_can_grow_and_leaves_the_list_alone),
        cmocka_unit_test(lists_are_added_with_and_without_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
