/* policy.c - the manager's judgements. */
#include "model/policy.h"

#include "base/str.h"

/* ---- slots ---- */

enum rank { RANK_OWN, RANK_EMPTY, RANK_FREE, RANK_LIVE, RANK_NONE };

static enum rank rank_of(const struct slot *s, const char *conversation, int64_t live_ms, int64_t now_ms)
{
    if (!s->used_ms)
        return RANK_EMPTY;
    if (!*s->conversation)
        return *conversation ? RANK_FREE : RANK_OWN;
    if (streq(s->conversation, conversation))
        return RANK_OWN;
    return now_ms - s->used_ms < live_ms ? RANK_LIVE : RANK_FREE;
}

int slot_choose(struct slot *const *slots, size_t count, const char *conversation, size_t turn, int64_t live_ms,
                int64_t now_ms)
{
    enum rank best_rank = RANK_NONE;
    int best = -1;
    bool all_live = true; /* also the busy ones */
    for (size_t i = 0; i < count && best_rank != RANK_OWN; i++) {
        size_t at = (turn + i) % count;
        const struct slot *s = slots[at];
        enum rank rank = rank_of(s, conversation, live_ms, now_ms);
        if (s->open && rank != RANK_LIVE)
            all_live = false;
        if (!s->open || s->busy)
            continue;
        if (rank < best_rank || (rank == best_rank && rank == RANK_LIVE && s->used_ms < slots[best]->used_ms)) {
            best_rank = rank;
            best = (int)at;
        }
    }
    if (best_rank == RANK_LIVE && !*conversation && !all_live)
        return -1;
    return best;
}

/* ---- memory ---- */

static bool fits(const struct room *room, int64_t ram, int64_t vram)
{
    return ram <= room->ram_mib && (!room->vram_mib || vram <= room->vram_mib);
}

static bool has_work(const struct tenant *t)
{
    return t->in_flight || t->waiting;
}

/* Whether `a` should go rather than `b`. */
static bool goes_before(const struct tenant *a, const struct tenant *b)
{
    if (a->retired != b->retired)
        return a->retired;
    if (has_work(a) != has_work(b))
        return !has_work(a);
    if (has_work(a) && a->in_flight + a->waiting != b->in_flight + b->waiting)
        return a->in_flight + a->waiting < b->in_flight + b->waiting;
    return a->used_ms < b->used_ms;
}

/* The next to go; `count` when there is none. */
static size_t next_victim(const struct tenant *tenants, size_t count, size_t who, bool aged, const bool *victims)
{
    size_t best = count;
    for (size_t i = 0; i < count; i++) {
        const struct tenant *t = &tenants[i];
        if (i == who || !t->loaded || t->leaving || t->pinned || (victims && victims[i]) || (has_work(t) && !aged && !t->retired))
            continue;
        if (best == count || goes_before(t, &tenants[best]))
            best = i;
    }
    return best;
}

struct sums {
    int64_t ram, vram;           /* if `who` were loaded now */
    int64_t ram_pinned, vram_pinned; /* the same beside the pinned ones alone */
    int64_t ram_leaving, vram_leaving;
};

static struct sums add_up(const struct tenant *tenants, size_t count, size_t who)
{
    struct sums s = { tenants[who].ram_mib, tenants[who].vram_mib, tenants[who].ram_mib, tenants[who].vram_mib, 0, 0 };
    for (size_t i = 0; i < count; i++) {
        const struct tenant *t = &tenants[i];
        if (i == who || !t->loaded)
            continue;
        s.ram += t->ram_mib;
        s.vram += t->vram_mib;
        if (t->pinned) {
            s.ram_pinned += t->ram_mib;
            s.vram_pinned += t->vram_mib;
        }
        if (t->leaving) {
            s.ram_leaving += t->ram_mib;
            s.vram_leaving += t->vram_mib;
        }
    }
    return s;
}

/* Those chosen early whose going turned out not to be needed. */
static void spare(const struct room *room, const struct tenant *tenants, size_t count, int64_t ram, int64_t vram, bool *victims)
{
    for (size_t i = 0; i < count; i++) {
        if (!victims[i] || !fits(room, ram + tenants[i].ram_mib, vram + tenants[i].vram_mib))
            continue;
        victims[i] = false;
        ram += tenants[i].ram_mib;
        vram += tenants[i].vram_mib;
    }
}

enum verdict room_for(const struct room *room, const struct tenant *tenants, size_t count, size_t who, int64_t now_ms,
                      bool *victims)
{
    for (size_t i = 0; i < count; i++)
        victims[i] = false;
    struct sums s = add_up(tenants, count, who);
    if (fits(room, s.ram, s.vram))
        return ROOM_FITS;
    if (!fits(room, s.ram_pinned, s.vram_pinned))
        return ROOM_NEVER;
    int64_t ram = s.ram - s.ram_leaving, vram = s.vram - s.vram_leaving;
    if (fits(room, ram, vram))
        return ROOM_WAIT; /* those on their way out are enough */
    bool aged = now_ms - tenants[who].wait_since_ms >= room->ageing_ms;
    while (!fits(room, ram, vram)) {
        size_t i = next_victim(tenants, count, who, aged, victims);
        if (i == count)
            break;
        victims[i] = true;
        ram -= tenants[i].ram_mib;
        vram -= tenants[i].vram_mib;
    }
    if (!fits(room, ram, vram)) {
        for (size_t i = 0; i < count; i++)
            victims[i] = false; /* nobody goes for nothing */
        return ROOM_WAIT;
    }
    spare(room, tenants, count, ram, vram, victims);
    return ROOM_EVICT;
}

size_t one_to_go(const struct tenant *tenants, size_t count, size_t who)
{
    return next_victim(tenants, count, who, false, NULL);
}
