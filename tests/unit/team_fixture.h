/* team_fixture.h - a whole team on a private home, with a scripted model.
 *
 * Store, git, sandbox and Python are real.  The model is the fake of these tests: it answers
 * by the key of the call (ticket, role, step, occurrence) and keeps the prompts.
 */
#ifndef TANDEM_TESTS_TEAM_FIXTURE_H
#define TANDEM_TESTS_TEAM_FIXTURE_H

#include "check.h"
#include "scratch.h"

#include "base/str.h"
#include "team/step.h"
#include "team/team.h"

struct script;

struct team_fixture {
    struct scratch s;
    struct store *store;
    struct house_options place;  /* both may be changed before the team is opened */
    struct team_options options;
    struct house *house;
    enum existing_dev dev;       /* what begin_project wishes */
    struct team *team;
    struct script *script;
    const char *id; /* of the project */
    struct err e;
};

int team_set_up(void **state);
int team_tear_down(void **state);
#define with_team(test) cmocka_unit_test_setup_teardown(test, team_set_up, team_tear_down)

/* What the model answers to "T-1/tester/red-1/1"; "project/..." without a ticket. */
void says(struct team_fixture *f, const char *key, const char *text);
/* The same for every call whose key begins so and has no answer of its own. */
void says_always(struct team_fixture *f, const char *prefix, const char *text);
/* The context size the model tells; 16384 before. */
void script_context(struct team_fixture *f, int64_t tokens);
/* From now on it is as a server that cannot be reached, until it is given a context. */
void script_unreachable(struct team_fixture *f);
/* The prompt of a call as text ("<<user>>\n..."); NULL when there was none. */
const char *prompt_of(struct team_fixture *f, const char *key);
/* How many calls came whose key begins so. */
size_t calls_of(struct team_fixture *f, const char *prefix);

/* A project of the stack "python" in which the spec and the plan (JSON) are approved;
 * `files` (path, text, ..., NULL; may be NULL) are the repository it builds on. */
void begin_project(struct team_fixture *f, int64_t pairs, const char *spec, const char *plan, const char *const *files);
/* Runs the team until it ends, which it must do as `wanted`. */
void run_team(struct team_fixture *f, enum team_end wanted);
void open_team(struct team_fixture *f);
/* Frees the team (and the store) and opens both again, as a new process does. */
void reopen_team(struct team_fixture *f);

struct ticket ticket_of(struct team_fixture *f, int64_t number);
struct functionality functionality_of(struct team_fixture *f, int64_t number);
size_t count_events(struct team_fixture *f, const char *kind);
/* The payload of the n-th event (from 0) of a kind; fails when there is none. */
json_t *event_payload(struct team_fixture *f, const char *kind, size_t n);
/* The member `name` of the payload of the n-th event (from 0) of a kind; fails when there is none. */
const char *event_text(struct team_fixture *f, const char *kind, size_t n, const char *name);
/* A file of a branch; NULL when it is not there. */
const char *file_on(struct team_fixture *f, const char *branch, const char *path);

/* A plan with one functionality and one ticket of these criteria (NULL at the end). */
const char *one_ticket(struct team_fixture *f, const char *kind, const char *const *criteria);
#define ONE_TICKET(f, ...) one_ticket((f), "behaviour", (const char *const[]){ __VA_ARGS__, NULL })
extern const char one_spec[];

#define SCOPE(create) "{\"create\": [\"" create "\"], \"how\": \"as the tests want\"}"
#define ACCEPT "{\"accept\": true, \"comments\": []}"
#define FILE_BLOCK(path, text) "### " path "\n```\n" text "```\n"

#endif
