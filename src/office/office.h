/* office/office.h - the projects of a home, in the one process that holds it: who works on them,
 * and what people say to them.
 *
 * Whoever holds a home has one office: a server, or a command when no server runs.  What is asked
 * of it is a verb with a wish and an answer (wishes.h), so that it makes no difference whether the
 * person's command holds the home itself or speaks to a server.  A sitting is a project at work
 * until a gate or its end; several people may look at the same one, and it stops when the last of
 * them has left.
 *
 * Threads: any, also at once; but for office_open and office_close.
 */
#ifndef TANDEM_OFFICE_H
#define TANDEM_OFFICE_H

#include "office/wishes.h"
#include "team/team.h"

struct arena;
struct err;
struct manager;
struct office;
struct settings;
struct store;
struct model_options;

struct office_options {
    struct store *store;             /* these three are borrowed */
    const char *home;
    const struct settings *settings;
    /* The models of the home, when somebody needs them first.  Called with a lock held. */
    int (*manager)(void *ctx, struct manager **ret, struct err *e);
    void *ctx;
};
int office_open(struct office **ret, const struct office_options *o, struct err *e);
/* From now on nobody sits down (ERR_GONE); those who sit should leave, and look for the home's next
 * holder.  Words under way are still fulfilled. */
void office_shut(struct office *o);
bool office_is_shut(const struct office *o);
/* When everybody has left and no verb is under way.  NULL is allowed. */
void office_close(struct office *o);
struct house *office_house(struct office *o);

/* How often somebody who waits looks whether to go on. */
enum { OFFICE_LOOK_MS = 50 };

/* Who asks. */
struct office_caller {
    const char *person;
    struct texts settings;     /* "name=value": what this person says of them, for what is asked here */
    /* Theirs, for models that are named by their address; "": they have none.  NULL: they speak in this
     * process, whose environment counts.  Another's key goes to no address that somebody names. */
    const char *api_key;
    const char *word;          /* an id of this wish alone: it may be said again when its answer was lost; NULL */
    const atomic_bool *cancel; /* may be NULL */
};

/* ---- verbs ---- */

struct office_call; /* internal.h */

struct office_verb {
    const char *name;
    const struct record *wish, *answer;
    int (*act)(struct office_call *c, const void *wish, void *answer, struct err *e);
    bool tries_again; /* when something changed meanwhile */
    bool gives_work;  /* a sitting that was about to end goes on */
    const char *doc;
};
extern const struct office_verb office_create, office_approve, office_change, office_edit, office_retry, office_set_models,
    office_set_out, office_hand_over, office_resolve_open, office_resolve_take, office_release;
/* All of them, NULL-terminated. */
extern const struct office_verb *const office_verbs[];

/* The answer's texts live in the arena.  A word that was fulfilled before (team_heard) is not again. */
int office_do(struct office *o, const struct office_verb *v, const struct office_caller *c, struct arena *a, const void *wish,
              void *answer, struct err *e);

/* ---- sittings ---- */

struct office_seat; /* somebody's hold on a sitting */

/* Begins one, or joins the one that is under way (whose models it has, then).  The watcher is
 * called from workers, from now until office_leave has returned; it must not wait. */
int office_sit(struct office *o, const struct office_sitting *w, const struct office_caller *c, const struct team_watcher *watcher,
               struct office_seat **ret, struct err *e);
/* Whether it was under way already; what was asked for with office_sit and does not count then,
 * in lines, or "". */
bool office_joined(const struct office_seat *s, const char **ret_left_out);
/* Waits for at most so long; true: it has ended. */
bool office_wait(struct office_seat *s, int64_t ms);
/* Gives the seat up.  A sitting that nobody looks at any more is stopped first.  An error is what
 * ended it. */
int office_leave(struct office_seat *s, struct arena *a, struct office_ended *ret, struct err *e);

/* The models of the home, opened now if they are not; NULL with `only_if_there` when nobody needed
 * them yet. */
int office_manager(struct office *o, bool only_if_there, struct manager **ret, struct err *e);

/* ---- settings ---- */

/* Whether a setting is said with each wish; otherwise the process that holds the home has it. */
bool office_setting_travels(const char *name);
/* The limits of teams, and whether they may use the network. */
struct team_options office_team_options(const struct settings *set);
/* Time-outs and keys of models. */
void office_model_options(const struct settings *set, struct model_options *o);

#endif
