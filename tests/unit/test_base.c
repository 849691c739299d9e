/* Strings, arenas, UTF-8, digests, clock, errors. */
#include "check.h"

#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/str.h"
#include "base/utf8.h"

#include <errno.h>

static void utf8_refuses_what_rfc_3629_forbids(void **state)
{
    (void)state;
    size_t bad;
    assert_true(utf8_valid("gr\xC3\xBC\xC3\x9F", 6, NULL));
    assert_false(utf8_valid("a\xC0\xAF", 3, &bad)); /* overlong */
    assert_int_equal(bad, 1);
    assert_false(utf8_valid("\xED\xA0\x80", 3, NULL)); /* surrogate */
    assert_false(utf8_valid("\xF4\x90\x80\x80", 4, NULL)); /* above U+10FFFF */
    assert_false(utf8_valid("\xE2\x82", 2, NULL)); /* cut */
}

static void utf8_floor_never_splits_a_character(void **state)
{
    (void)state;
    const char *text = "ab\xE2\x82\xAC!";
    assert_int_equal(utf8_floor(text, 2), 2);
    assert_int_equal(utf8_floor(text, 3), 2);
    assert_int_equal(utf8_floor(text, 4), 2);
    assert_int_equal(utf8_floor(text, 5), 5);
}

static void utf8_tail_begins_with_a_whole_line_or_character(void **state)
{
    (void)state;
    assert_string_equal(utf8_tail("one\ntwo\nthree", 13, 100), "one\ntwo\nthree");
    assert_string_equal(utf8_tail("one\ntwo\nthree", 13, 8), "three");
    assert_string_equal(utf8_tail("one\ntwo\nthree", 13, 3), "ree");
    assert_string_equal(utf8_tail("\xC3\xBC\xC3\xBC\xC3\xBC", 6, 3), "\xC3\xBC");
    assert_string_equal(utf8_tail("\xE2\x82\xAC\xE2\x82\xAC\n", 7, 5), "\xE2\x82\xAC\n");
}

static void utf8_repair_replaces_each_bad_byte(void **state)
{
    (void)state;
    char out[32];
    size_t n = utf8_repair(out, "a\xFF" "b", 3);
    assert_int_equal(n, 5);
    assert_memory_equal(out, "a\xEF\xBF\xBD" "b", 5);
}

static void arena_gives_small_and_large_pieces(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    for (int i = 0; i < 1000; i++)
        assert_non_null(arena_alloc(&a, 100));
    char *big = arena_alloc(&a, 100000);
    assert_int_equal(big[99999], 0);
    assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
}

static void append_a(void *s) { str_add(s, "a"); }
static void append_b(void *s) { str_add(s, "b"); }

static void an_array_in_an_arena_grows_and_keeps_what_it_holds(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    size_t *items = NULL, cap = 0, count = 0;
    while (count < 1000) {
        ARENA_GROW(&a, items, cap, count);
        items[count] = count;
        count++;
    }
    for (size_t i = 0; i < count; i++)
        assert_int_equal(items[i], i);
    assert_int_equal(cap, 1024);
}

static void arena_runs_cleanups_once_in_reverse_order(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    STR_LOCAL(seen);
    arena_defer(&a, append_a, &seen);
    arena_defer(&a, append_b, &seen);
    arena_clear(&a);
    arena_release(&a);
    assert_string_equal(seen.data, "ba");
}

static void strings_grow_and_detach(void **state)
{
    (void)state;
    STR_LOCAL(s);
    for (int i = 0; i < 1000; i++)
        str_addf(&s, "%d,", i);
    assert_int_equal(s.len, strlen(s.data));
    str_truncate(&s, 4);
    assert_string_equal(s.data, "0,1,");
    char *p = str_detach(&s);
    assert_string_equal(p, "0,1,");
    free(p);
    assert_int_equal(s.len, 0);
}

static void parse_int_takes_whole_numbers_only(void **state)
{
    (void)state;
    long long n = -1;
    assert_true(parse_int("42", 0, 100, &n));
    assert_int_equal(n, 42);
    assert_false(parse_int("42x", 0, 100, &n));
    assert_false(parse_int(" 42", 0, 100, &n));
    assert_false(parse_int("101", 0, 100, &n));
    assert_false(parse_int("", 0, 100, &n));
    assert_false(parse_int("99999999999999999999", 0, 100, &n));
}

static void digest_is_sha256(void **state)
{
    (void)state;
    assert_string_equal(digest_of("abc", 3).hex,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void wall_time_never_goes_back(void **state)
{
    (void)state;
    int64_t now = clock_wall_ms();
    clock_wall_at_least(now + 5000);
    assert_true(clock_wall_ms() >= now + 5000);
    /* Ahead of the machine's clock it goes on all the same. */
    int64_t ahead = clock_wall_ms();
    struct timespec pause = { .tv_nsec = 20000000 };
    nanosleep(&pause, NULL);
    assert_true(clock_wall_ms() >= ahead + 20);
    char text[25];
    clock_format(1767182400123, text);
    assert_string_equal(text, "2025-12-31T12:00:00.123Z");
}

static void a_steady_moment_carries_into_seconds_and_ends_a_wait(void **state)
{
    (void)state;
    struct timespec now = clock_steady_in(0), then = clock_steady_in(61999);
    assert_in_range(then.tv_nsec, 0, 999999999);
    int64_t between_ms = (then.tv_sec - now.tv_sec) * 1000 + (then.tv_nsec - now.tv_nsec) / 1000000;
    assert_true(between_ms >= 61998);
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never;
    clock_cond_init(&never);
    int64_t begun_ms = clock_steady_ms();
    struct timespec until = clock_steady_in(20);
    pthread_mutex_lock(&lock);
    while (pthread_cond_timedwait(&never, &lock, &until) == 0)
        ;
    pthread_mutex_unlock(&lock);
    assert_true(clock_steady_ms() - begun_ms >= 19); /* by another clock it is over at once */
    pthread_cond_destroy(&never);
}

static void errors_are_cut_at_whole_characters(void **state)
{
    (void)state;
    struct err e;
    char longer[3000];
    for (size_t i = 0; i + 3 < sizeof longer; i += 3)
        memcpy(longer + i, "\xE2\x82\xAC", 4);
    assert_int_equal(err_set(&e, ERR_INVALID, "%s", longer), ERR_INVALID);
    assert_true(utf8_valid(e.text, strlen(e.text), NULL));
    err_set(&e, ERR_BUSY, "the home is locked");
    assert_int_equal(err_prefix(&e, "cannot open %s", "x"), ERR_BUSY);
    assert_string_equal(e.text, "cannot open x: the home is locked");
    assert_int_equal(err_set_errno(&e, ERR_FAILED, ENOSPC, "write"), ERR_FULL);
}

static void a_word_of_a_command_can_be_pasted(void **state)
{
    (void)state;
    STR_LOCAL(s);
    str_add_shell_word(&s, "/plain/path-1.0");
    str_add_char(&s, ' ');
    str_add_shell_word(&s, "/with a blank");
    str_add_char(&s, ' ');
    str_add_shell_word(&s, "it's; $x");
    str_add_char(&s, ' ');
    str_add_shell_word(&s, "");
    assert_string_equal(s.data, "/plain/path-1.0 '/with a blank' 'it'\\''s; $x' ''");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_refuses_what_rfc_3629_forbids),
        cmocka_unit_test(utf8_floor_never_splits_a_character),
        cmocka_unit_test(utf8_tail_begins_with_a_whole_line_or_character),
        cmocka_unit_test(utf8_repair_replaces_each_bad_byte),
        cmocka_unit_test(arena_gives_small_and_large_pieces),
        cmocka_unit_test(an_array_in_an_arena_grows_and_keeps_what_it_holds),
        cmocka_unit_test(arena_runs_cleanups_once_in_reverse_order),
        cmocka_unit_test(strings_grow_and_detach),
        cmocka_unit_test(parse_int_takes_whole_numbers_only),
        cmocka_unit_test(digest_is_sha256),
        cmocka_unit_test(wall_time_never_goes_back),
        cmocka_unit_test(a_steady_moment_carries_into_seconds_and_ends_a_wait),
        cmocka_unit_test(errors_are_cut_at_whole_characters),
        cmocka_unit_test(a_word_of_a_command_can_be_pasted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
