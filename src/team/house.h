/* house.h - what all teams of one process share: the queue, the sandbox, and what is open of
 * each project (internal to team/, but for the two functions that make one).
 *
 * A team is one sitting of one project, or a person's word to it; several are at work at once,
 * also at the same project.  Its git repository is opened when the first comes to it, and is
 * unlocked then, for nobody else in this process can be using it.
 *
 * Threads: any; house->lock guards the lists of sites and names, who uses a site, and its stacks.
 */
#ifndef TANDEM_HOUSE_H
#define TANDEM_HOUSE_H

#include "base/arena.h"
#include "team/playbook.h"
#include "team/team.h"

#include <pthread.h>

/* What is opened once for each project and shared by its workers. */
struct site {
    const char *id;
    struct arena arena;
    struct repo *repo;
    struct stack *_Atomic stack; /* NULL until the project has one */
    struct stack **stacks;       /* all that were opened: others may still be reading an earlier one */
    size_t stack_count, stack_cap;
    struct playbook playbook;
    struct overrides overrides;
    int64_t users;       /* teams that have it */
    struct site *next;
};

struct house {
    struct store *store;
    char *home;
    struct queue *queue; /* NULL: this house only looks, perhaps beside a writer at work */
    pthread_mutex_t opening; /* guards the next three */
    struct sandbox *sandbox; /* NULL until house_sandbox */
    enum sandbox_mode sandbox_mode;
    char *scratch;           /* NULL: chosen */
    pthread_mutex_t lock;
    struct site *sites;
    struct house_name *names;
};

/* What one team has for itself: an id that is being given to a new project, a directory that a result is
 * being put into. */
struct house_name {
    const char *id;
    struct house_name *next;
};
/* False: somebody else has it. */
bool house_take_name(struct house *h, struct house_name *name);
/* Waits until nobody has it; ERR_CANCELLED. */
int house_wait_name(struct house *h, struct house_name *name, const atomic_bool *cancel, struct err *e);
void house_give_name(struct house *h, struct house_name *name);

/* The sandbox, which is opened and tried out when the first needs it: that takes longer than all else at
 * the start, and who only talks to models or to the store needs none. */
int house_sandbox(struct house *h, struct sandbox **ret, struct err *e);

/* A site counts its users: give it back as often as it was taken.  When the last has left, it is
 * forgotten, and read again by the next. */
int house_take_site(struct house *h, const char *project, struct site **ret, struct err *e);
void house_give_site(struct house *h, struct site *site);

/* Opens the project's stack, in the place of another that was to be the project's before: only
 * until the plan is approved.  The earlier one stays readable as long as the site is there. */
int site_stack(struct house *h, struct site *site, const char *name, struct err *e);

#endif
