/* conversation.h - what one role and the engine have said to each other about one ticket.
 *
 * Turns are only ever appended, so that request N is a byte prefix of request N+1 and a
 * model server can reuse its KV cache.  When the context would overflow, old observations
 * are masked, then old answers and requests; nothing is ever cut silently: what does not fit
 * even then is an error.  Masking goes on by steps of a quarter of the room, so that the
 * requests between two steps are prefixes of each other again.
 */
#ifndef TANDEM_CONVERSATION_H
#define TANDEM_CONVERSATION_H

#include "model/chat.h"
#include "team/docs.h"
#include "team/step.h"

/* A conversation in use by a step; saved with it. */
struct conversation_use {
    const char *id;
    struct conversation doc;
    int64_t version; /* 0: new */
    bool changed;
    const char **texts; /* of each turn, in the step's arena */
    size_t text_cap;
    struct conversation_use *next;
};

/* The role's conversation about the step's ticket (or functionality, or the project). */
int conversation_open(struct step *s, enum role role, struct conversation_use **ret, struct err *e);
void conversation_add(struct step *s, struct conversation_use *c, enum turn_kind kind, const char *text);
/* Forgets all turns: the next request starts a fresh context. */
void conversation_restart(struct conversation_use *c);
bool conversation_empty(const struct conversation_use *c);
/* Whether the last turn is the model's, so that nothing is asked. */
bool conversation_answered(const struct conversation_use *c);
/* Puts it into the step's batch (called by step_save and at the end). */
void conversation_save(struct step *s, struct conversation_use *c);

/* What a request and its answer share. */
struct conversation_room { int64_t context_tokens, answer_tokens; };
extern const struct conversation_room conversation_room_for_all; /* nothing is masked */

/* The messages to send: neighbouring turns of the same side become one message.  At most what
 * the answer leaves of the context, by estimate; ERR_LIMIT when masking does not suffice.
 * `only_observations`: nothing else is masked, since the caller can rather begin a fresh context. */
int conversation_messages(struct arena *a, const struct conversation_use *c, const struct conversation_room *room,
                          bool only_observations, struct chat_message **ret, size_t *ret_count, struct err *e);

/* The bytes stored as the run's prompt. */
void messages_write(struct str *out, const struct chat_message *messages, size_t count);

#endif
