/* picture.h - a project as the workers see it when they look for work, and what may run then
 * (internal to team/).
 *
 * How many tickets are open at a time, and in which order things are merged, are rules of
 * picking, not of threads.
 *
 * Threads: team->lock guards a picture.
 */
#ifndef TANDEM_PICTURE_H
#define TANDEM_PICTURE_H

#include "team/step.h"

struct picture;
/* Of the site's project; all is borrowed.  `pairs`: how many tickets may be worked on at a time. */
struct picture *picture_new(struct store *s, const struct site *site, int64_t pairs);
void picture_free(struct picture *p); /* NULL is allowed */
/* The project as it is now. */
int picture_renew(struct picture *p, struct err *e);
/* Whether a ready task may run, by the last look; a queue_may_run on a picture. */
bool picture_may_run(const char *id, const struct task *task, void *ctx);

#endif
