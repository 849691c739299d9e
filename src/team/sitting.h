/* sitting.h - how long a project was worked on, told by the log alone.
 *
 * A sitting is one call of team_run: from the event that begins it to the one that ends it or,
 * where the process was killed, to the last event before the next one begins (a heartbeat is
 * never far).  Between sittings nobody works: a person reads the plan, or sleeps.
 */
#ifndef TANDEM_SITTING_H
#define TANDEM_SITTING_H

#include "team/team.h"

/* One that is under way. */
struct sitting {
    struct team *team;
    const char *project;
    int64_t git_us, own_us; /* of the process, when it began */
};

/* Stores the event that begins a sitting: "work.resumed" for the first of a process that finds
 * earlier ones in the log, else "work.begun". */
int sitting_begin(struct sitting *s, struct team *t, const char *project, struct err *e);
/* Stores the event that ends it, "work.stopped" when a person stopped it, else "work.ended", with
 * the time that git and Tandem itself took. */
int sitting_end(struct sitting *s, struct err *e);

#endif
