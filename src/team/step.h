/* step.h - one task being done: what it sees, and how it ends (internal to team/).
 *
 * A step's code reads the documents of its task, asks models, runs tests, and puts what
 * should change into the step.  step_run then commits documents, events, the next task and
 * "task done" in one batch.  Steps are written so that running them twice is the same as
 * once: answers are stored before they are used (ask.h), and commits have an intent first
 * (commit.h).
 *
 * Threads: a struct step belongs to one worker.
 */
#ifndef TANDEM_STEP_H
#define TANDEM_STEP_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "repo/git.h"
#include "repo/stack.h"
#include "team/house.h"
#include "team/queue.h"
#include "team/spec.h"
#include "team/team.h"

struct team {
    struct house *house;
    struct store *store;     /* the house's, */
    struct queue *queue;     /* ... NULL: it only looks, */
    struct sandbox *sandbox; /* ... this too; NULL until team_sandbox, */
    const char *home;        /* ... and this */
    struct team_options options;
    struct stack_prepare_options prepare;
    char *cache;
    pthread_mutex_t lock; /* guards the fields of the run */
    pthread_cond_t wake;  /* something finished: look for work again */
    struct site *site;    /* of the project it was called for last; NULL */
    atomic_bool stop;     /* by team_stop; see team_cancel */
    int64_t busy;         /* workers with a task */
    int64_t changes;      /* tasks that ended */
    bool ended;
    int64_t sittings;     /* begun by this team */
    struct team_times times;
    struct err failure;   /* the first error of Tandem itself */
};

static inline const atomic_bool *team_cancel(const struct team *t)
{
    return t->options.cancel ? t->options.cancel : &t->stop;
}

static inline bool is_stopped(const struct team *t)
{
    return atomic_load(team_cancel(t));
}

enum step_end {
    STEP_NEXT,  /* on to the next stage of the playbook */
    STEP_AGAIN, /* the same stage once more */
    STEP_GOTO,  /* the stage named in `go` */
    STEP_WAIT,  /* a person must say something first; no next task */
    STEP_BLOCK, /* cannot go on; `why` says so */
    STEP_END,   /* the thing is through */
};

struct step {
    struct team *team;
    struct site *site;
    struct arena *arena;
    const char *task_id;
    struct task task;
    const struct stage *stage;
    enum role role;
    const char *person; /* who does it by hand; NULL: the role does it */

    const char *project_id;
    struct project project;
    int64_t project_version;
    bool project_changed;

    const char *ticket_id; /* NULL: not about a ticket */
    struct ticket ticket;
    int64_t ticket_version;
    bool ticket_changed;

    const char *functionality_id; /* the ticket's, or the task's own; NULL: about the project */
    struct functionality functionality;
    int64_t functionality_version;
    bool functionality_changed;

    struct batch *batch; /* events, blobs and documents for the commit at the end */
    struct conversation_use *conversations;

    const char *answered_by; /* the model of the step's last answer, as reported; NULL: none was asked */
    struct unjudged {
        const char *run;     /* id of the last answer's run while it is not judged; NULL: none */
        struct run doc;
        int64_t version;     /* of the document */
    } unjudged;
    enum role writer;        /* who wrote what a merge commits, where git alone could not; else ROLE_ENGINE */

    enum step_end end;
    const char *go;  /* STEP_GOTO */
    const char *why; /* STEP_BLOCK */
    const atomic_bool *cancel;
};

typedef int step_fn(struct step *s, struct err *e);
/* The code behind a playbook's step name, NULL when there is none. */
step_fn *step_find(const char *name);
/* "write-spec, plan, ...": all there are. */
const char *step_names(struct arena *a);

/* Does one leased task from loading to "task done". */
int step_run(struct team *t, struct site *site, const char *task_id, const struct task *task,
             struct err *e);

/* Commits what the step gathered so far, without ending its task. */
int step_save(struct step *s, struct err *e);

/* A step outside the queue, for what a person does (resolve.h, release.h): loads what `thing`
 * ("T-3", "F-1"; "": the project) is.  The caller names it (task_id, for its intent) and ends
 * it with step_save.  Workers may be at the project's other things: what changed meanwhile is
 * ERR_CONFLICT. */
int step_by_hand(struct team *t, struct arena *a, const char *project, const char *thing, const char *name,
                 const char *person, struct step *ret, struct err *e);
void step_by_hand_free(struct step *s);

/* ---- helpers for steps ---- */
static inline struct oid oid_of(const char *hex)
{
    struct oid o;
    snprintf(o.hex, sizeof o.hex, "%s", hex);
    return o;
}

void step_event(struct step *s, const char *kind, json_t *payload); /* takes over the payload; may be NULL */
/* The same, of another role than the step's. */
void step_event_of(struct step *s, enum role role, const char *kind, json_t *payload);
/* project_command for what the step is about. */
const char *step_command(const struct step *s, const char *verb);
void step_block(struct step *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void step_pulse_text(int stream, const char *bytes, size_t len, void *step);
/* Forgets attempts and escalation: a new stage or criterion begins. */
void ticket_fresh_stage(struct ticket *t);

/* Adds the files that a commit of the ticket's own changed to its list. */
int ticket_note_files(struct step *s, const char *parent, const char *commit, struct err *e);

/* Before anything that runs the project's code: opens the sandbox.  ERR_UNAVAILABLE says what is missing. */
int team_sandbox(struct team *t, struct err *e);
/* The event that says that the project's code runs without a sandbox, where it does. */
void team_log_unprotected(struct team *t, struct batch *b, struct arena *a, const char *project);

int site_get(struct team *t, const char *project, struct site **ret, struct err *e);

/* The first task of a ticket, functionality ("F-1") or project (""). */
void task_put(struct batch *b, struct arena *a, const char *project, const char *thing, int64_t number,
              const struct stage *stage, int64_t order);

/* ---- the steps (step_*.c) ---- */
step_fn step_write_spec, step_plan, step_start, step_scope, step_red, step_green, step_work,
    step_refactor, step_integrate, step_review, step_merge, step_appraise, step_deliver;

#endif
