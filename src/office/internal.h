/* internal.h - what the parts of the office share. */
#ifndef TANDEM_OFFICE_INTERNAL_H
#define TANDEM_OFFICE_INTERNAL_H

#include "base/setting.h"
#include "office/office.h"

#include <pthread.h>

struct office {
    struct office_options options;
    struct house *house;
    pthread_mutex_t lock;     /* guards tables and hands, and what is said to be guarded by it */
    pthread_cond_t changed;   /* a sitting ended or is gone, a hand is free */
    pthread_mutex_t opening;  /* one sitting at a time is begun */
    pthread_mutex_t managing; /* guards `manager` */
    struct manager *manager;  /* NULL: not yet asked for */
    struct table *tables;     /* sitting.c */
    struct office_hand *hands;
    atomic_bool shut;
};

/* What a word is being fulfilled for: one at a time for a project, for many of them change files and
 * branches outside of the home; and each word once, also when there is no project yet. */
struct office_hand {
    struct office_hand *next;
    const char *of; /* a project or a word */
    const struct office_verb *verb;
};

/* With the lock held: whether a word that gives work is being said to the project. */
bool office_is_being_told(const struct office *o, const char *project);
/* With the lock held: such a word was said. */
void tables_tell(struct office *o, const char *project);

/* One wish being fulfilled. */
struct office_call {
    struct office *office;
    const struct office_caller *caller;
    struct settings settings; /* with the caller's */
    struct team *team;        /* by hand: without models */
    struct arena *arena;
    const char *heard;        /* the project that was told this word before; NULL: it is new */
};

/* Those of the office with the caller's.  ERR_INVALID. */
int office_settings(const struct office *o, const struct office_caller *c, struct arena *a, struct settings *ret, struct err *e);

#endif
