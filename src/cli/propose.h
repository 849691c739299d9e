/* cli/propose.h - default routes over the models that there are (model/propose.h). */
#ifndef TANDEM_CLI_PROPOSE_H
#define TANDEM_CLI_PROPOSE_H

#include "cli/session.h"

/* Shows to `out` which models would serve the roles without a route; `makes`: and makes it so. */
int routes_default(struct session *s, FILE *out, bool makes, struct err *e);

/* Makes default routes in a home that has models for the team's roles but no route, and says so; *ret_made
 * false: there is no such home. */
int routes_default_for_run(struct invocation *in, bool *ret_made, struct err *e);

#endif
