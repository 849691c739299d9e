/* model/policy.h - who gets which slot, and who must make room: the manager's judgements.
 *
 * Pure functions over what the manager knows at a moment; time is given, nothing is read from
 * a clock.
 */
#ifndef TANDEM_MODEL_POLICY_H
#define TANDEM_MODEL_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- slots ---- */

enum { CONVERSATION_NAME = 128 };

/* A place for one answer at a time, with the prompt of the last one still in its cache. */
struct slot {
    bool open;     /* its server takes calls now */
    bool busy;
    char conversation[CONVERSATION_NAME]; /* whose prompt it holds; "": a side call's, or nobody's */
    int64_t used_ms; /* when its last call ended; 0: never used */
};

/* The slot for the next call of a conversation, or for a side call (""): the one that holds its
 * prompt; else one that never held any, then one whose prompt nobody will continue (of a side call,
 * or untouched for live_ms), and only then the one unused longest.  A side call does not take the
 * prompt of a live conversation as long as there is any slot without one, busy or not.  Slots that
 * are equally good are taken in turn, from `turn` on.  -1: the call has to wait. */
int slot_choose(struct slot *const *slots, size_t count, const char *conversation, size_t turn, int64_t live_ms,
                int64_t now_ms);

/* ---- memory ---- */

/* A model that is loaded, or wants to be. */
struct tenant {
    int64_t ram_mib, vram_mib; /* reserved, or what it needs */
    bool loaded;               /* its memory is reserved */
    bool leaving;              /* it is on its way out already */
    bool pinned;
    bool retired;              /* a newer version has taken its place */
    int64_t in_flight, waiting; /* calls */
    int64_t used_ms;           /* when its last call ended, or it was loaded */
    int64_t wait_since_ms;     /* wants to be loaded: since when the first caller waits */
};

struct room {
    int64_t ram_mib, vram_mib; /* all there is for models; 0 VRAM: not counted */
    int64_t ageing_ms;         /* after so long even a model with work to do makes room */
};

enum verdict {
    ROOM_FITS,
    ROOM_EVICT, /* those marked in `victims` are to leave; then ask again */
    ROOM_WAIT,  /* they are leaving, or at work, and this one has not waited long enough */
    ROOM_NEVER, /* not even beside the pinned ones alone */
};

/* Whether `tenants[who]` can be loaded now.  Work for a loaded model is done as long as it comes
 * (each change of models costs minutes), until somebody else has waited for ageing_ms.  Victims
 * are retired ones first, then idle ones by last use, then those with least work; no more than
 * needed.  `victims` has room for `count`. */
enum verdict room_for(const struct room *room, const struct tenant *tenants, size_t count, size_t who, int64_t now_ms,
                      bool *victims);

/* One more that may leave when memory is short although it all fits: the idle one unused longest that
 * is not pinned and not leaving; `count`: there is none. */
size_t one_to_go(const struct tenant *tenants, size_t count, size_t who);

#endif
