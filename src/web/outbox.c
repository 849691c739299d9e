/* outbox.c - see the header. */
#include "web/outbox.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/utf8.h"
#include "web/office_api.h"

#include <stdlib.h>

void outbox_init(struct outbox *o)
{
    *o = (struct outbox){ .events = STR_INIT };
    pthread_mutex_init(&o->lock, NULL);
}

void outbox_release(struct outbox *o)
{
    pthread_mutex_destroy(&o->lock);
    str_release(&o->events);
}

static void put(struct outbox *o, const char *type, const struct office_pulse *pulse, size_t most)
{
    json_t *value = record_write(&office_pulse_record, pulse);
    pthread_mutex_lock(&o->lock);
    if (o->events.len < most) {
        str_addf(&o->events, "event: %s\ndata: ", type);
        json_write(&o->events, value);
        str_add(&o->events, "\n\n");
    } else if (o->events.len >= OUTBOX_MAX) {
        o->is_full = true;
    }
    pthread_mutex_unlock(&o->lock);
    json_decref(value);
}

void outbox_text(const struct pulse *p, const char *text, size_t len, void *outbox)
{
    char *clean = xmalloc(3 * OUTBOX_PIECE + 1);
    while (len) {
        size_t piece = len > OUTBOX_PIECE ? utf8_floor(text, OUTBOX_PIECE) : len;
        clean[utf8_repair(clean, text, piece)] = '\0';
        put(outbox, "text", &(struct office_pulse){ p->project, p->ticket, p->role, p->step, p->attempt, false, clean }, OUTBOX_TEXTS);
        text += piece;
        len -= piece;
    }
    free(clean);
}

void outbox_moved(const struct pulse *p, bool begun, void *outbox)
{
    put(outbox, "moved", &(struct office_pulse){ p->project, p->ticket, p->role, p->step, p->attempt, begun, "" }, OUTBOX_MAX);
}

int outbox_take(struct outbox *o, struct str *out, struct err *e)
{
    pthread_mutex_lock(&o->lock);
    bool is_full = o->is_full;
    str_add_str(out, &o->events);
    str_clear(&o->events);
    pthread_mutex_unlock(&o->lock);
    return is_full ? err_set(e, ERR_LIMIT, "more than %d KiB were not read", OUTBOX_MAX >> 10) : 0;
}
