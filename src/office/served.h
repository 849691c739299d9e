/* office/served.h - what the registry and the exams say of those who serve the roles of a team. */
#ifndef TANDEM_OFFICE_SERVED_H
#define TANDEM_OFFICE_SERVED_H

#include "model/registry.h"
#include "team/team.h"

struct store;

/* For roles that `served` leaves open: their routes, whose names it gets then.  ERR_REFUSED when a
 * route requires what no model of it shows; *ret_note: that some were not examined, as one sentence,
 * or "". */
int served_by_routes(struct store *s, struct arena *a, const char *served[ROLE_COUNT], const char **ret_note, struct err *e);

/* Which roles are told of search/replace blocks: those whose models are set to them and whose exams
 * allow it.  `served`: by name in the registry (a model, or the role); NULL: by an address. */
void served_by_blocks(struct store *s, struct arena *a, const char *const served[ROLE_COUNT], bool edits[ROLE_COUNT]);

/* Which of these models were not examined, and what to do about it, as one sentence; "": all were. */
const char *served_unexamined(struct arena *a, const struct registry *r, const struct texts *models);

#endif
