/* docs.h - the documents of a team's work: what people and agents look at.
 *
 * Each type is a C struct and a described record (base/record.h); ids are
 *     project        "units"
 *     spec           "units/spec-2"
 *     functionality  "units/F-1"
 *     ticket         "units/T-3"
 *     conversation   "units/T-3/tester", "units/architect"
 *     run            "units/T-3/tester/red-1/2" (models), "units/T-3/engine/red-1/2" (test runs)
 *     evidence       "units/T-3/1"
 *     task           "units/T-3/7-red"
 *     intent         as the task that makes the commit
 *
 * Commits and trees are named by their object ids; events by sequence number.
 */
#ifndef TANDEM_DOCS_H
#define TANDEM_DOCS_H

#include "base/record.h"
#include "store/store.h"

/* ---- project ---- */
enum project_state {
    PROJECT_SPEC,          /* the PM writes the spec */
    PROJECT_SPEC_APPROVAL, /* a person reads it */
    PROJECT_PLAN,          /* the Architect plans */
    PROJECT_PLAN_APPROVAL,
    PROJECT_BUILD,
    PROJECT_DONE,          /* every functionality is in DEV */
    PROJECT_STOPPED,       /* by a person */
};

struct project {
    const char *name;     /* as a person wrote it */
    int state;            /* enum project_state */
    const char *idea;     /* "" when a spec file was given */
    int64_t spec;         /* number of the current spec version; 0: none */
    const char *stack;    /* "" until known */
    const char *playbook;
    const char *source;   /* path of the person's repository; "" for a new one */
    const char *branch;   /* its default branch, "main" for a new one */
    const char *base;     /* commit the work starts from */
    const char *out;      /* where the clone goes; "" when --repo is given */
    const char *handed_commit; /* of DEV, as it was handed over last; "" for never */
    bool handed_over;     /* as versions without handed_commit said it; so that their homes can be read */
    const char *plan;     /* digest of the plan under approval, as JSON; "" */
    const char *blocked;  /* why it cannot go on; "" */
    bool edited;          /* a person edited the spec or plan under approval */
    const char *wish;     /* what the person wants changed in the spec or plan under approval */
    const char *person;   /* who started it: "Name <email>" */
    struct texts models;  /* as given to --model, for resume */
    struct texts heard;   /* ids of the last words of people to it (team_options.word) */
    int64_t coverage_target;
    int64_t pairs;
    int64_t steps;        /* tasks made so far on the project itself */
    int64_t tests_passed, tests_total, covered, lines; /* of DEV, when the last functionality came in; 0: none yet */
    int64_t created_ms, finished_ms;
};

struct spec {
    const char *project;
    int64_t number;
    const char *text;
    const char *origin; /* "file", "pm", "person" */
    const char *doubt;  /* words of the idea that it does not have: "people, nicely"; "" */
    bool approved;
    const char *approved_by;
};

/* ---- plan ---- */
enum functionality_state { FUNCTIONALITY_OPEN, FUNCTIONALITY_REVIEW, FUNCTIONALITY_DONE };

struct functionality {
    const char *project;
    int64_t number; /* F-1 is 1; also the plan order */
    const char *title, *summary;
    const char *branch; /* "feature/units" */
    int state;
    const char *blocked; /* reason; "" */
    int64_t review_rounds;
    struct texts asked; /* by its reviews: "criterion: ...", "refactoring: ..." */
    const char *stage;  /* of the playbook, where it stands; "" before its review */
    const char *hint;   /* from a person, for its next step */
    int64_t attempt;    /* at its merge into DEV */
    int64_t steps;      /* tasks made so far */
    const char *merged; /* commit on DEV that brought it in; "" */
    int64_t tests_passed, tests_total, covered, lines; /* of its last run: at its review, or merged with DEV */
};

enum criterion_state {
    CRITERION_OPEN,
    CRITERION_RED,     /* red witnessed */
    CRITERION_GREEN,   /* green proven */
    CRITERION_MET,     /* already met, with evidence */
    CRITERION_DROPPED, /* by the Architect */
};

struct criterion {
    const char *text;
    int64_t clause; /* of the spec; 0: none (from a review) */
    int state;
    const char *origin; /* "plan", "review" */
    const char *objection; /* of the Developer, for which its tests were taken back; "" */
    int64_t reworded;   /* times the Architect put it into other words */
    struct texts tests; /* ids that prove it */
    struct texts left_out; /* ids of tests that were refused because they passed before its code was there */
};

enum ticket_kind { TICKET_BEHAVIOUR, TICKET_DOCUMENT, TICKET_BUILD, TICKET_REFACTOR };
enum ticket_column { COLUMN_BACKLOG, COLUMN_TODO, COLUMN_INPROGRESS, COLUMN_REVIEW, COLUMN_DONE };
enum severity { SEVERITY_CRITICAL, SEVERITY_HIGH, SEVERITY_MEDIUM, SEVERITY_LOW };

struct scope {
    struct texts read;   /* "path" or "path:symbol" */
    struct texts change;
    struct texts create;
    const char *how;     /* where and how to implement, with signatures */
};

struct ticket {
    const char *project;
    int64_t number;        /* T-3 is 3; also the plan order */
    int64_t functionality; /* number */
    const char *title, *description;
    int kind, column, severity;
    int64_t estimate_minutes;
    struct texts after;      /* "T-1" */
    struct records criteria; /* struct criterion */
    const char *blocked;     /* reason; "" */
    const char *hint;        /* from a person, for the next attempts */

    const char *branch, *base, *head, *merged; /* commits; "" until they exist */
    struct scope scope;
    struct texts baseline;   /* ids that passed at the base */
    struct texts failing;    /* ids that did not */
    struct texts rewritten;  /* test files that the suite itself rewrites, as the base shows */
    struct texts flaky;      /* ids that changed their mind */

    const char *stage;       /* of the playbook, where it stands */
    int64_t attempt;         /* of the current stage */
    int64_t level;           /* of escalation, enum escalation */
    struct texts seen;       /* digests of (tree, failing set) in the current stage */
    int64_t nearest;         /* how far its best attempt was from good (attempt.c); 0: none yet */
    int64_t passed_at_once;  /* times the current criterion's tests passed without code */
    int64_t review_rounds;
    struct texts asked;      /* by its reviews: "criterion: ...", "refactoring: ..." */
    int64_t coverage_rounds; /* times coverage fell short */
    const char *checked;     /* the run that measured what will be merged; "" */
    int64_t steps;           /* tasks made so far */
    const char *comment;     /* what the review wants refactored; "" */

    int64_t pair;            /* 1.. ; 0: none */
    int64_t tests_passed, tests_total;
    int64_t covered, lines;
    int64_t prompt_tokens, cached_tokens, completion_tokens;
    int64_t model_us, suite_us;
    int64_t started_ms, finished_ms;
    struct texts files;      /* changed */
};

/* ---- how it came about ---- */
enum turn_kind {
    TURN_SYSTEM,
    TURN_CONTEXT,     /* project, spec, map, ticket: never masked */
    TURN_REQUEST,     /* asks for something */
    TURN_ANSWER,      /* the model's */
    TURN_OBSERVATION, /* what the engine saw; the first to be masked */
};
struct turn {
    int kind;
    const char *body; /* blob digest */
    int64_t tokens;   /* estimate */
};
struct conversation {
    const char *project, *ticket, *role;
    int64_t generation; /* fresh contexts so far */
    struct records turns;
    const char *prompt; /* digest of the last prompt sent, which the next extends */
};

enum run_kind { RUN_MODEL, RUN_SUITE, RUN_PREPARE };
struct run {
    const char *project, *ticket;
    int kind;
    const char *role, *step;
    const char *of;        /* the id without the occurrence */
    const char *task;      /* that made it */
    int64_t occurrence;
    const char *model;     /* as reported; command line for suites, or their stack where none ran */
    const char *prompt;    /* digest; for suites the tree's object id, for installations the digest of the command */
    const char *answer;    /* digest of the answer or the output */
    const char *reasoning; /* digest; "" */
    const char *outcome;   /* "answered", "cut", "red", "refused: ..." */
    const char *results;   /* suites: digest of the results as JSON */
    int64_t prompt_tokens, cached_tokens, completion_tokens;
    int64_t started_ms, queue_us, first_token_us, total_us;
    int64_t retries;
    int64_t version;       /* of the model in the registry; 0: none */
    int64_t escalation;    /* 0: the role's first model; 1: the one it is escalated to */
    const char *verdict;   /* of a model's answer: "satisfied", or why not; "" while nobody has judged */
};

enum red_reason { RED_NONE, RED_ASSERTION, RED_ABSENCE, RED_ERROR };
struct evidence {
    const char *project, *ticket;
    int64_t criterion; /* from 1 */
    struct texts tests;
    int reason;
    struct texts absent; /* what absence named */
    const char *red_tree, *red_commit, *red_run;
    int64_t red_event;
    const char *green_tree, *green_commit, *green_run;
    int64_t green_event;
    const char *met_by; /* already met: the tree on which the tests failed ("base" or a mutation), as object id */
    const char *mutation; /* "src/units.py:3: == -> !="; "" */
};

/* ---- the queue ---- */
enum task_state { TASK_READY, TASK_LEASED, TASK_DONE, TASK_DEAD };
struct task {
    const char *project, *ticket; /* "T-3"; "" for the project, "F-1" for a functionality */
    const char *stage, *role;
    int64_t order;         /* lower goes first */
    int state;
    int64_t attempt;       /* failures of the handler itself, not of a model */
    int64_t not_before_ms;
    const char *owner;
    int64_t epoch, lease_until_ms;
    const char *error;
};

/* A commit about to be made: after a crash the same one is made again. */
struct intent {
    const char *project, *ref;
    const char *expected; /* where the ref stands; "" when it does not exist */
    const char *tree, *parent, *second_parent;
    const char *message;  /* without the Evidence trailer */
    const char *role;
    const char *author;   /* the person whose work it is, "Name <email>"; "": the role's */
    int64_t event;        /* whose hash the trailer carries; 0: none */
    int64_t time_s;
    const char *commit;   /* "" until made */
};

/* One document, id "queue": the epoch that every start raises. */
struct queue_state { int64_t epoch; };

extern const struct doc_type project_type, spec_type, functionality_type, ticket_type,
    conversation_type, run_type, evidence_type, task_type, intent_type, queue_state_type;
extern const struct record criterion_record, scope_record, scope_answer_record, turn_record;
extern const char *const project_state_names[], *const column_names[], *const severity_names[],
    *const criterion_state_names[], *const red_reason_names[], *const ticket_kind_names[];

/* All of them, for store_open. */
extern const struct doc_type *const team_doc_types[];
extern const size_t team_doc_type_count;

static inline struct criterion *ticket_criterion(const struct ticket *t, size_t index)
{
    return (struct criterion *)t->criteria.items + index;
}

/* All tickets or functionalities of a project in plan order. */
int project_tickets(struct store *s, struct arena *a, const char *project, struct store_found *ret, struct err *e);
int project_functionalities(struct store *s, struct arena *a, const char *project, struct store_found *ret,
                            struct err *e);

/* Which of a project's tickets (all of them, in plan order) cannot go on without a person: they
 * are blocked, or build on one that is. */
const bool *tickets_stuck(struct arena *a, const struct ticket *tickets, size_t count);

/* The tickets ("T-2") that are merged before this one, which waits for them when it is finished:
 * the earlier ones of its functionality that are under way or can still begin. */
struct texts tickets_merged_before(struct arena *a, const struct ticket *tickets, size_t count, const struct ticket *t);

/* Index of the criterion being worked on, or the count when all are through.  The planned
 * criteria of a ticket without behaviour are for its review, not for red and green. */
size_t ticket_current(const struct ticket *t);
static inline bool criterion_proven(const struct criterion *c)
{
    return c->state == CRITERION_GREEN || c->state == CRITERION_MET || c->state == CRITERION_DROPPED;
}

#endif
