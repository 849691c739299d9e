/* The manager's judgements: which slot, and who makes room. */
#include "check.h"

#include "model/policy.h"

enum { LIVE = 1000, NOW = 100000 };

static int choose(struct slot *slots, size_t count, const char *conversation, size_t turn)
{
    struct slot *row[8];
    for (size_t i = 0; i < count; i++)
        row[i] = &slots[i];
    return slot_choose(row, count, conversation, turn, LIVE, NOW);
}

static void a_conversation_stays_on_its_slot(void **state)
{
    (void)state;
    struct slot s[] = { { .open = true, .conversation = "a", .used_ms = NOW - 10 },
                        { .open = true, .conversation = "b", .used_ms = NOW - 20 },
                        { .open = true } };
    assert_int_equal(choose(s, 3, "a", 0), 0);
    assert_int_equal(choose(s, 3, "b", 0), 1);
    assert_int_equal(choose(s, 3, "c", 0), 2); /* nobody's before somebody's */
    s[2].busy = true;
    assert_int_equal(choose(s, 3, "c", 0), 1); /* unused longest */
    s[1].open = false;
    assert_int_equal(choose(s, 3, "c", 0), 0);
    s[0].busy = true;
    assert_int_equal(choose(s, 3, "c", 0), -1);
}

static void a_prompt_that_nobody_continues_goes_before_a_live_one(void **state)
{
    (void)state;
    struct slot s[] = { { .open = true, .conversation = "a", .used_ms = NOW - 10 },
                        { .open = true, .conversation = "old", .used_ms = NOW - 5000 },
                        { .open = true, .conversation = "b", .used_ms = NOW - 900 } };
    assert_int_equal(choose(s, 3, "c", 0), 1);
    s[1].conversation[0] = '\0'; /* a side call's */
    s[1].used_ms = NOW - 1;
    assert_int_equal(choose(s, 3, "c", 0), 1);
}

static void a_side_call_does_not_take_a_live_conversation_s_prompt(void **state)
{
    (void)state;
    struct slot s[] = { { .open = true, .conversation = "a", .used_ms = NOW - 10 },
                        { .open = true, .used_ms = NOW - 20, .busy = true } };
    assert_int_equal(choose(s, 2, "", 0), -1); /* it waits for the other side call's */
    s[1].busy = false;
    assert_int_equal(choose(s, 2, "", 0), 1);
    s[1].conversation[0] = 'b';
    assert_int_equal(choose(s, 2, "", 0), 1); /* there is no other: the one unused longest */
    assert_int_equal(choose(s, 1, "", 0), 0);
}

static void equal_slots_are_taken_in_turn(void **state)
{
    (void)state;
    struct slot s[] = { { .open = true }, { .open = true }, { .open = true } };
    assert_int_equal(choose(s, 3, "a", 0), 0);
    assert_int_equal(choose(s, 3, "a", 1), 1);
    assert_int_equal(choose(s, 3, "a", 5), 2);
    assert_int_equal(choose(s, 0, "a", 0), -1);
}

static const struct room room = { .ram_mib = 100, .vram_mib = 0, .ageing_ms = 1000 };

static enum verdict ask(const struct tenant *t, size_t count, bool *victims)
{
    return room_for(&room, t, count, count - 1, NOW, victims);
}

static void what_fits_is_loaded_and_what_never_fits_is_refused(void **state)
{
    (void)state;
    bool v[4];
    struct tenant t[] = { { .ram_mib = 40, .loaded = true, .pinned = true }, { .ram_mib = 60 } };
    assert_int_equal(ask(t, 2, v), ROOM_FITS);
    t[1].ram_mib = 61;
    assert_int_equal(ask(t, 2, v), ROOM_NEVER);
    t[0].pinned = false;
    assert_int_equal(ask(t, 2, v), ROOM_EVICT);
    assert_true(v[0]);
    t[1].ram_mib = 101;
    assert_int_equal(ask(t, 2, v), ROOM_NEVER);
}

static void the_idle_one_unused_longest_goes_and_no_more_than_needed(void **state)
{
    (void)state;
    bool v[5];
    struct tenant t[] = { { .ram_mib = 30, .loaded = true, .used_ms = 3 }, { .ram_mib = 10, .loaded = true, .used_ms = 1 },
                          { .ram_mib = 30, .loaded = true, .used_ms = 2 }, { .ram_mib = 30, .loaded = true, .pinned = true },
                          { .ram_mib = 20 } };
    assert_int_equal(ask(t, 5, v), ROOM_EVICT);
    assert_false(v[0]);
    assert_false(v[1]); /* chosen first, but then the next one's going was enough */
    assert_true(v[2]);
    assert_false(v[3]);
    t[0].retired = true;
    assert_int_equal(ask(t, 5, v), ROOM_EVICT);
    assert_true(v[0]);
    assert_false(v[2]);
}

static void work_is_grouped_until_somebody_has_waited_long_enough(void **state)
{
    (void)state;
    bool v[3];
    struct tenant t[] = { { .ram_mib = 40, .loaded = true, .in_flight = 1, .waiting = 5 },
                          { .ram_mib = 40, .loaded = true, .in_flight = 1 },
                          { .ram_mib = 50, .wait_since_ms = NOW - 999 } };
    assert_int_equal(ask(t, 3, v), ROOM_WAIT);
    assert_false(v[0] || v[1]);
    t[2].wait_since_ms = NOW - 1000;
    assert_int_equal(ask(t, 3, v), ROOM_EVICT);
    assert_false(v[0]);
    assert_true(v[1]); /* with less work */
    t[1].leaving = true;
    assert_int_equal(ask(t, 3, v), ROOM_WAIT); /* it is on its way: nobody else has to go */
    assert_false(v[0]);
}

static void nobody_goes_for_nothing(void **state)
{
    (void)state;
    bool v[3];
    struct tenant t[] = { { .ram_mib = 30, .loaded = true }, { .ram_mib = 60, .loaded = true, .in_flight = 1 },
                          { .ram_mib = 50, .wait_since_ms = NOW } };
    assert_int_equal(ask(t, 3, v), ROOM_WAIT); /* the idle one alone would not be enough */
    assert_false(v[0] || v[1]);
}

static void when_memory_is_short_all_the_same_an_idle_one_goes_and_never_a_pinned_one(void **state)
{
    (void)state;
    struct tenant t[] = { { .loaded = true, .pinned = true, .used_ms = 1 }, { .loaded = true, .in_flight = 1, .used_ms = 2 },
                          { .loaded = true, .used_ms = 4 }, { .loaded = true, .used_ms = 3 }, { .used_ms = 0 } };
    assert_int_equal(one_to_go(t, 5, 4), 3);
    t[3].leaving = true;
    assert_int_equal(one_to_go(t, 5, 4), 2);
    t[2].loaded = false;
    assert_int_equal(one_to_go(t, 5, 4), 5);
}

static void video_memory_counts_where_it_is_configured(void **state)
{
    (void)state;
    bool v[2];
    struct room gpu = { .ram_mib = 100, .vram_mib = 24, .ageing_ms = 1000 };
    struct tenant t[] = { { .ram_mib = 10, .vram_mib = 16, .loaded = true }, { .ram_mib = 10, .vram_mib = 10 } };
    assert_int_equal(room_for(&gpu, t, 2, 1, NOW, v), ROOM_EVICT);
    assert_int_equal(room_for(&room, t, 2, 1, NOW, v), ROOM_FITS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation_stays_on_its_slot),
        cmocka_unit_test(a_prompt_that_nobody_continues_goes_before_a_live_one),
        cmocka_unit_test(a_side_call_does_not_take_a_live_conversation_s_prompt),
        cmocka_unit_test(equal_slots_are_taken_in_turn),
        cmocka_unit_test(what_fits_is_loaded_and_what_never_fits_is_refused),
        cmocka_unit_test(the_idle_one_unused_longest_goes_and_no_more_than_needed),
        cmocka_unit_test(work_is_grouped_until_somebody_has_waited_long_enough),
        cmocka_unit_test(nobody_goes_for_nothing),
        cmocka_unit_test(when_memory_is_short_all_the_same_an_idle_one_goes_and_never_a_pinned_one),
        cmocka_unit_test(video_memory_counts_where_it_is_configured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
