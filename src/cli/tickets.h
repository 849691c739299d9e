/* cli/tickets.h - a ticket among the others: where it stands, who waits for whom. */
#ifndef TANDEM_CLI_TICKETS_H
#define TANDEM_CLI_TICKETS_H

#include "cli/bar.h"
#include "cli/session.h"

/* A column for people: "in progress". */
extern const char *const column_words[];

/* In a word or few: "making 2 pass", "waits for T-2 to be merged", "blocked". */
const char *ticket_standing(struct arena *a, const struct ticket *all, size_t count, size_t which);

/* The tickets that cannot begin because of this one: "T-4, T-5"; "" for none. */
const char *tickets_behind(struct arena *a, const struct ticket *all, size_t count, size_t which);

/* ERR_NOT_FOUND unless the project has this ticket ("T-3") or functionality ("F-1"). */
int find_thing(struct session *s, const char *project, const char *name, struct err *e);

/* The newest run of a ticket ("T-3") or functionality, whose output tells why it stands where it
 * stands.  ERR_NOT_FOUND. */
int ticket_last_run(struct session *s, const char *project, const char *ticket, enum run_kind kind, struct run *ret,
                    const char **ret_id, struct err *e);
/* What failed in its last run of the tests and why, or what that run printed: at most `max`
 * bytes; "" when there is nothing, or when it was not in `stage`: what does not pass before a
 * ticket begins is not why its scope cannot be used. */
const char *ticket_last_failures(struct session *s, const char *project, const char *ticket, const char *stage, size_t max);

/* Prints a text under a title; nothing where it is empty. */
void print_part(struct session *s, const char *title, const char *text, size_t len);
/* The same for a blob. */
void print_blob(struct session *s, const char *title, const char *digest);

/* What the project's runs cost so far, all of them: also those of no ticket. */
struct runs_cost {
    int64_t prompt_tokens, cached_tokens, completion_tokens, model_us, suite_us;
    struct { int64_t told_tokens, cached_tokens; } roles[ROLE_COUNT]; /* prompts whose server told what it had cached */
};
int project_cost(struct store *s, const char *project, struct runs_cost *ret, struct err *e);

/* How far the tickets of a project are together.  What is in DEV was run there as a whole; until
 * all is, tests are counted by name over the tickets, which do not see each other's. */
struct tickets_sum {
    size_t done, criteria, proven;
    int64_t tests, tests_passed;
    int64_t covered, lines; /* before anything is in DEV: of each file as the last ticket left it */
};
struct tickets_sum tickets_sum(struct arena *a, const struct project *p, const struct ticket *all, size_t count);

/* Tests of the repository that did not pass before the work began and do not since. */
struct texts tickets_failing_before(struct arena *a, const struct ticket *all, size_t count);

/* The segments of a ticket's bar, t->criteria.count of them. */
const enum bar_segment *ticket_segments(struct arena *a, const struct ticket *t);

#endif
