/* talk.h - a person speaks to a project (internal to team/): what approving, retrying and
 * handing over have in common.  Workers may be at the project meanwhile; when it changed under
 * the person's words, talk_end says ERR_CONFLICT, and nothing was written.
 */
#ifndef TANDEM_TALK_H
#define TANDEM_TALK_H

#include "team/step.h"

struct talk {
    struct team *team;
    struct arena *arena;
    struct site *site;
    const char *id;
    const char *thing; /* "T-3", "F-1": what is spoken of; "": the project */
    struct project project; /* may be changed; talk_end stores it */
    int64_t version;
    struct batch *batch;    /* the caller frees it, also after a failure; NULL is allowed then */
};
int talk_begin(struct team *t, struct arena *a, const char *project, struct talk *ret, struct err *e);
/* Commits the project, the batch and the event; `payload_key` may be NULL. */
int talk_end(struct talk *k, const char *person, const char *kind, const char *payload_key, const char *payload, struct err *e);
/* The project remembers the word that the team is made for. */
void talk_hear(const struct team *t, struct arena *a, struct project *p);
/* Queues the project's stage that does this step. */
void talk_put_task(struct talk *k, const char *step);

#endif
