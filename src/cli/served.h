/* cli/served.h - what the registry and the exams say of those who serve the roles of a team. */
#ifndef TANDEM_CLI_SERVED_H
#define TANDEM_CLI_SERVED_H

#include "cli/session.h"
#include "model/registry.h"

/* For roles that no --model is for: who serves them by their routes (s->served).  ERR_REFUSED when a
 * route requires what no model of it shows; that one was not examined is a warning. */
int served_by_routes(struct session *s, struct err *e);

/* Which roles are told of search/replace blocks: those whose models are set to them and whose exams
 * allow it. */
void served_by_blocks(struct session *s, bool edits[ROLE_COUNT]);

/* Which of these models were not examined, and what to do about it, as one sentence; "": all were. */
const char *served_unexamined(struct arena *a, const struct registry *r, const struct texts *models);

#endif
