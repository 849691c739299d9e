/* evidence.h - the stored evidence of the step's ticket, by criterion (from 0; internal to team/). */
#ifndef TANDEM_EVIDENCE_H
#define TANDEM_EVIDENCE_H

#include "team/step.h"

/* ERR_NOT_FOUND: there is none, because it is open or was dropped. */
int evidence_get(struct step *s, size_t index, struct evidence *ret, struct err *e);
/* Puts it into the step's batch, in the place of what there is. */
int evidence_put(struct step *s, size_t index, const struct evidence *ev, struct err *e);

#endif
