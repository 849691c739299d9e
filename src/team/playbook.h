/* playbook.h - how a team works, as data (share/playbooks/NAME.yaml).
 *
 * A playbook lists stages.  The step a stage names is code (step.h); which stage comes
 * next is decided here, from the stages alone.
 *
 * Threads: a loaded playbook is read-only and may be shared.
 */
#ifndef TANDEM_PLAYBOOK_H
#define TANDEM_PLAYBOOK_H

#include "base/record.h"

struct arena;
struct err;

enum stage_for { FOR_PROJECT, FOR_FUNCTIONALITY, FOR_TICKET, FOR_CRITERION };
enum stage_when { WHEN_ALWAYS, WHEN_NO_BEHAVIOUR, WHEN_ASKED };
enum stage_gate { GATE_NONE, GATE_PERSON };

struct stage {
    const char *name;
    const char *step;
    const char *role;
    int scope; /* enum stage_for */
    int when;
    int gate;
};

struct playbook {
    const char *name, *summary;
    struct records stages; /* struct stage */
};

/* The playbook lives in the arena.  `override_dirs` (NULL-terminated) may be NULL.  ERR_INVALID names file,
 * line and the allowed values. */
int playbook_load(struct arena *a, const char *name, const char *const *override_dirs,
                  struct playbook *ret, struct err *e);

const struct stage *playbook_stage(const struct playbook *p, const char *name);
/* The first stage of a kind of thing, NULL when there is none. */
const struct stage *playbook_first(const struct playbook *p, enum stage_for scope);

/* The stage after `now` for the same thing.  Stages for criteria run as a loop inside those
 * for tickets: `criteria_left` true enters it or goes round again, false leaves it.  Stages
 * with a condition are passed over unless it is in `holds` (1 << enum stage_when).
 * NULL: the thing is through. */
const struct stage *playbook_next(const struct playbook *p, const struct stage *now,
                                  bool criteria_left, unsigned holds);

#endif
