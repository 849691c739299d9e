/* What happens at a sitting, on its way to somebody who looks. */
#include "check.h"

#include "base/arena.h"
#include "base/json.h"
#include "http/sse.h"
#include "web/office_api.h"
#include "web/outbox.h"

#include <stdlib.h>

static const struct pulse red = { .project = "greet", .ticket = "T-1", .role = "tester", .step = "red", .attempt = 2 };

struct read {
    size_t texts, moves;
    struct str text;
};

static bool on_event(const struct sse_event *event, void *ctx)
{
    struct read *r = ctx;
    ARENA_LOCAL(a);
    struct err e;
    json_t *value;
    struct office_pulse p;
    check_ok(json_parse(&a, event->data, event->len, &value, &e), &e);
    check_ok(record_read(&office_pulse_record, &a, value, &p, &e), &e);
    assert_string_equal(p.ticket, "T-1");
    assert_int_equal(p.attempt, 2);
    r->texts += streq(event->type, "text");
    r->moves += streq(event->type, "moved");
    str_add(&r->text, p.text);
    return true;
}

/* As the commands read them. */
static struct read read_events(const struct str *events)
{
    struct read r = { .text = STR_INIT };
    struct sse_reader reader;
    sse_init(&reader, OFFICE_MAX_EVENT, on_event, &r);
    assert_int_equal(sse_feed(&reader, events->data, events->len), SSE_MORE);
    sse_release(&reader);
    return r;
}

static struct read take(struct outbox *o)
{
    STR_LOCAL(events);
    struct err e;
    check_ok(outbox_take(o, &events, &e), &e);
    return read_events(&events);
}

static void a_long_text_comes_in_pieces_and_whole(void **state)
{
    (void)state;
    struct outbox o;
    STR_LOCAL(text);
    outbox_init(&o);
    while (text.len < 5 * OUTBOX_PIECE / 2)
        str_add(&text, "a\xE2\x82\xAC\xF0\x9F\x99\x82"); /* characters of 1, 3 and 4 bytes */
    outbox_moved(&red, true, &o);
    outbox_text(&red, text.data, text.len, &o);
    struct read r = take(&o);
    assert_int_equal(r.moves, 1);
    assert_int_equal(r.texts, 3);
    assert_string_equal(r.text.data, text.data);
    str_release(&r.text);
    assert_int_equal(take(&o).moves, 0);
    outbox_release(&o);
}

/* Bytes that JSON writes as six, and such as are no text at all. */
static void no_event_is_too_large_for_its_reader(void **state)
{
    (void)state;
    enum { LEN = 16 << 20 };
    char *bytes = malloc(LEN);
    for (int fill = 0; fill < 2; fill++) {
        struct outbox o;
        outbox_init(&o);
        memset(bytes, fill ? 0xFF : 0x01, LEN);
        outbox_text(&red, bytes, LEN, &o);
        struct read r = take(&o);
        assert_in_range(r.texts, 2, OUTBOX_TEXTS / OUTBOX_PIECE);
        str_release(&r.text);
        outbox_release(&o);
    }
    free(bytes);
}

static void who_does_not_keep_up_misses_texts_and_nothing_else(void **state)
{
    (void)state;
    struct outbox o;
    char text[1000] = "";
    outbox_init(&o);
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < 3000; i++) {
        outbox_text(&red, text, sizeof text - 1, &o);
        if (i % 10 == 0)
            outbox_moved(&red, true, &o);
    }
    struct read r = take(&o);
    assert_int_equal(r.moves, 300);
    assert_in_range(r.texts, 500, 1100);
    str_release(&r.text);
    outbox_text(&red, text, sizeof text - 1, &o); /* keeps up again */
    r = take(&o);
    assert_int_equal(r.texts, 1);
    str_release(&r.text);
    outbox_release(&o);
}

static void who_reads_nothing_is_given_up(void **state)
{
    (void)state;
    struct outbox o;
    STR_LOCAL(events);
    struct err e;
    outbox_init(&o);
    for (int i = 0; i < OUTBOX_MAX / 50; i++)
        outbox_moved(&red, true, &o);
    assert_in_range(o.events.len, OUTBOX_MAX, OUTBOX_MAX + 1000);
    check_err(outbox_take(&o, &events, &e), ERR_LIMIT, &e, "more than 4096 KiB were not read");
    outbox_release(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_text_comes_in_pieces_and_whole),
        cmocka_unit_test(no_event_is_too_large_for_its_reader),
        cmocka_unit_test(who_does_not_keep_up_misses_texts_and_nothing_else),
        cmocka_unit_test(who_reads_nothing_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
