/* team.h - a software team at work on the projects of one home.
 *
 * The one header of this layer that those who call it need besides docs.h.  A house is what all
 * teams of a process share; a team is for one project at a time, with its workers and models.
 * A project moves when team_run is called and stops at a gate, when nothing can run any more, or
 * when asked to.
 *
 * Threads: teams of one house may be used at once, also on the same project, where one of them
 * runs it; a single team belongs to one thread, but for team_stop and team_times.
 */
#ifndef TANDEM_TEAM_H
#define TANDEM_TEAM_H

#include "model/chat.h"
#include "os/sandbox.h"
#include "repo/git.h"
#include "team/docs.h"
#include "team/queue.h"

struct arena;
struct err;
struct store;
struct team;

enum role { ROLE_ENGINE, ROLE_PM, ROLE_ARCHITECT, ROLE_DEVELOPER, ROLE_TESTER, ROLE_COUNT };
extern const char *const role_names[]; /* NULL-terminated */
/* The role of that name, -1 when there is none. */
int role_parse(const char *name);

/* What happens, for whoever shows it.  Called from worker threads. */
struct pulse {
    const char *project, *ticket, *role, *step;
    int64_t attempt;
};
struct team_watcher {
    /* A piece of an answer, or of a test run's output (role "engine"). */
    void (*text)(const struct pulse *p, const char *text, size_t len, void *ctx);
    /* A task began (`begun`) or ended; documents may have changed. */
    void (*moved)(const struct pulse *p, bool begun, void *ctx);
    void *ctx;
};

struct team_limits {
    int64_t attempts;         /* of one stage before a person is asked */
    int64_t review_rounds;
    int64_t replans;          /* tries at a spec, plan, scope or review that passes its checks */
    int64_t coverage_target;  /* percent of lines; -1: as the project was created */
    int64_t ticket_tokens;    /* prompt and completion together; 0: none */
    int64_t ticket_minutes;   /* 0: none */
    int64_t map_tokens;
    int64_t answer_tokens;    /* 0: a quarter of the context, at most 4096 */
    int64_t tree_files, tree_mib; /* of the repository under work */
    struct sandbox_limits suite;
    int64_t prepare_ms;           /* a stack's prepare step; its other limits are the suite's */
    int64_t cache_mib;            /* its results in the home */
};
extern const struct team_limits team_default_limits;

/* ---- what the teams of a process share ---- */

struct house;
struct house_options {
    const char *home;
    enum sandbox_mode sandbox;
    const char *scratch; /* NULL: chosen */
    struct queue_limits queue;
};
/* Takes the queue over, ends what a dead process left.  One at a time in a process; `s` is borrowed. */
int house_open(struct house **ret, struct store *s, const struct house_options *o, struct err *e);
/* For teams that only look (verify.h): `s` may be a reader, beside a writer at work. */
int house_look(struct house **ret, struct store *s, const struct house_options *o, struct err *e);
/* After its teams.  NULL is allowed. */
void house_free(struct house *h);
/* Why the code under work runs without a sandbox (options.sandbox allows it); "" where it has one, or where
 * none can be opened and so nothing runs.  Opens it.
 * The log of a project says so wherever its code may have run ("sandbox.none"). */
const char *house_unprotected(struct house *h);

/* ---- a team ---- */

struct team_options {
    bool network;                     /* a stack's prepare step may use it */
    bool goes_on;                     /* its first sitting continues one of this process, after a gate */
    struct model *models[ROLE_COUNT]; /* borrowed; NULL: a project that needs it stops with a clear error */
    struct model *heavy[ROLE_COUNT];  /* to escalate to; may be NULL */
    bool edits[ROLE_COUNT];           /* its prompt says that files can be changed by search/replace blocks */
    struct team_limits limits;
    struct team_watcher watcher;
    const char *word;                 /* id of the person's word that it is made for; NULL: none.  See team_heard */
    const atomic_bool *cancel;        /* stops it; NULL: team_stop does */
};

struct team *team_new(struct house *h, const struct team_options *o);
void team_free(struct team *t);

/* Whether the word this team is made for was fulfilled before: its answer may have been lost on the
 * way, and it comes again.  Creating, approving, changing, editing and retrying are remembered, the
 * last sixteen of a project.  `project` "": it is looked for in all.  *ret_id: which heard it, NULL: none. */
int team_heard(struct team *t, struct arena *a, const char *project, const char **ret_id, struct err *e);

/* ---- projects ---- */
enum existing_dev { DEV_ASK, DEV_CONTINUE, DEV_REPLACE };

struct project_wish {
    const char *name;      /* NULL: from the spec's title or the idea */
    const char *idea;      /* either this */
    const char *spec;      /* or the text of a specification */
    const char *stack;     /* NULL: detected or proposed by the Architect */
    const char *repo;      /* build on this repository; NULL: a new one */
    const char *out;       /* where the clone goes at the end; NULL: HOME/out/ID; not used with repo */
    enum existing_dev dev; /* what to do when the repository has a DEV branch */
    int64_t pairs, coverage_target;
    struct texts models;   /* remembered for resume */
    /* Called when all that is near has been found good and nothing has begun: the place to wait
     * for what is far, as a model's server.  NULL: none. */
    int (*before)(void *ctx, struct err *e);
    void *ctx;
};
/* Creates the project and its repository.  ERR_EXISTS with DEV_ASK when DEV is there. */
int team_create(struct team *t, struct arena *a, const struct project_wish *w, const char **ret_id,
                struct err *e);

enum team_end {
    TEAM_DONE,    /* every functionality is in DEV */
    TEAM_GATE,    /* a person must approve; see the project's state */
    TEAM_BLOCKED, /* nothing can go on without a person */
    TEAM_STOPPED, /* team_stop */
};
/* Works on the project until one of these.  Errors are of Tandem itself, not of the work, or
 * ERR_SETUP: a model is not there, and the tasks wait for it as they are. */
int team_run(struct team *t, const char *project, enum team_end *ret, struct err *e);
/* Where the workers' time went so far, in this process; pairs that work in parallel are each
 * counted in full, waiting for work is not. */
struct team_times {
    int64_t tasks, wall_us;
    int64_t model_us;  /* models' answers */
    int64_t child_us;  /* git, tests, tools: from the start of each process to its end */
    int64_t commit_us; /* the disk, for commits of the store */
    int64_t git_us;    /* writing git objects, without git's processes */
    int64_t own_us;    /* the rest */
};
struct team_times team_times(struct team *t);
/* The same for a project over all processes, from the log (sitting.h). */
struct project_work {
    int64_t wall_ms;        /* during which somebody worked: not between sittings, not at a gate */
    int64_t git_us, own_us; /* summed over what ran in parallel; of sittings that were not killed */
    int64_t sittings;
    bool unprotected;       /* code ran without a sandbox at some time */
    bool is_open;           /* the last one has not ended, or was killed */
    int64_t last_ms;        /* wall time of the last event; one at work writes one every few seconds */
};
int project_work(struct store *s, const char *project, struct project_work *ret, struct err *e);
/* Asks team_run to return soon, unless options.cancel is there for that.  May be called from a
 * signal handler. */
void team_stop(struct team *t);

/* ---- what people say ---- */

/* What waits for a person's approval. */
struct gate {
    bool is_spec;         /* else it is a plan */
    const char *shown;    /* which of them all: "spec-3", or the digest of a plan */
    const char *text;     /* the spec's Markdown, or the plan, for reading */
    const char *editable; /* the same as team_edit takes it back */
};
/* ERR_REFUSED: nothing waits. */
int team_gate(struct team *t, struct arena *a, const char *project, struct gate *ret, struct err *e);

/* These three answer to what waits.  `shown` is what the person saw, "": whatever waits now; when
 * it is another one now, ERR_CONFLICT, and nothing was taken.  ERR_REFUSED: nothing waits. */
int team_approve(struct team *t, const char *project, const char *shown, const char *person, struct err *e);
/* What should be different. */
int team_change(struct team *t, const char *project, const char *shown, const char *wish, const char *person, struct err *e);
/* The spec or plan as the person edited it; checked like a model's. */
int team_edit(struct team *t, const char *project, const char *shown, const char *text, const char *person, struct err *e);

/* Starts a blocked ticket ("T-3"), functionality ("F-1") or project ("") again where it
 * stands; `hint` may be NULL. */
int team_retry(struct team *t, const char *project, const char *thing, const char *hint,
               const char *person, struct err *e);

struct handed {
    bool nothing;     /* is finished yet, and nothing was handed over: DEV stands where it began */
    bool released;    /* the default branch has all that DEV has */
    bool waits;       /* DEV was left alone there; the next call tries again */
    const char *note; /* lines for the person on what was left alone or is new; "" for none */
};
/* Hands over what DEV has and had not at the last hand-over: as a normal clone (new projects),
 * later brought into that clone, or by giving the branches back to --repo.  ERR_EXISTS: where the
 * clone goes lies something else. */
int team_hand_over(struct team *t, struct arena *a, const char *project, struct handed *ret, struct err *e);
/* Other models for the next resume, as they are given to --model. */
int team_set_models(struct team *t, const char *project, const struct texts *models, const char *person, struct err *e);
/* Another place for the clone (an absolute path).  ERR_REFUSED when all is built and handed over
 * already, or goes back into a repository. */
int team_set_out(struct team *t, const char *project, const char *out, const char *person, struct err *e);

/* Where files of share/ are overridden (share.h): for one project (NULL: none in particular) in
 * HOME/projects/PROJECT/share, for all in HOME/share. */
struct overrides { const char *dirs[3]; };
struct overrides team_overrides(struct arena *a, const char *home, const char *project);
/* Reads each overriding prompt, playbook and stack as the team will: `what` is "prompt tester",
 * `fault` "" or a sentence with file and line. */
typedef void override_seen(const char *what, const char *fault, void *ctx);
int overrides_examine(struct arena *a, const char *const *dirs, override_seen *seen, void *ctx, struct err *e);
/* The first fault of them as an error, ERR_SETUP. */
int overrides_check(struct arena *a, const char *const *dirs, struct err *e);

/* A project of the home by its id; ERR_NOT_FOUND with a sentence for people. */
int project_get(struct store *s, struct arena *a, const char *home, const char *id, struct project *ret, struct err *e);
/* The project's bare repository below `home`. */
const char *project_repo_path(struct arena *a, const char *home, const char *project);

/* What a person types about a ticket or functionality ("": the project itself), the same when
 * another project was begun since: "tandem retry T-3 --project units". */
const char *project_command(struct arena *a, const char *verb, const char *project, const char *thing);

#endif
