/* model/propose.h - which of the models at hand should serve which role.
 *
 * The wish, whatever models there are: a fast model made for code for Developer and Tester; a small
 * one that reasons for PM and Resource Director; the heaviest for the Architect, and to escalate to,
 * loaded on demand, one call at a time, gone after two idle minutes; a model for vectors for
 * "embedding".
 *
 * Judged by what an exam has shown first (who can do the work, then who was not examined, then who
 * fell short of it), then by what name and architecture tell, then by size.  Sizes are parameters,
 * from the entry, else from the name ("7b"), else from the file.
 *
 * Pure; threads: any.
 */
#ifndef TANDEM_MODEL_PROPOSE_H
#define TANDEM_MODEL_PROPOSE_H

#include "model/registry.h"

struct proposal {
    struct route_entry *routes; /* for roles that have none yet and that a model is there for */
    const char **reasons;       /* one for each: "made for code, 6.7 B" */
    size_t count;
    const struct model_entry *heavy; /* as it should be run from now on; NULL: no model needs a change */
};
/* Texts and entries live in the arena and in `r`. */
void routes_propose(struct arena *a, const struct registry *r, struct proposal *ret);

/* ---- what a model seems to be (for tests) ---- */
enum { MODEL_FOR_CODE = 1, MODEL_REASONS = 2, MODEL_FOR_VECTORS = 4 };
unsigned model_hints(const struct model_entry *m);
/* 0: nothing tells. */
int64_t model_parameters(const struct model_entry *m);

#endif
