/* office/wishes.h - what people ask of projects, as records: what is said, and what is answered.
 *
 * They travel as JSON between a command and the server of the home, and are handed over as they
 * are within one process.  An absent text is "".
 */
#ifndef TANDEM_OFFICE_WISHES_H
#define TANDEM_OFFICE_WISHES_H

#include "base/record.h"
#include "team/team.h"

/* A new project is a struct project_wish (team.h) without `before`; with `pairs` 0 or `coverage_target`
 * -1 it is as the settings say. */
extern const struct record office_create_record;
struct office_project { const char *project; };
extern const struct record office_project_record;
struct office_created {
    const char *project;
    const char *note; /* what the person should know of the models; "" */
};
extern const struct record office_created_record;

/* An answer to the spec or plan that waits for approval.  `shown` is the one the person saw, as
 * struct gate (team.h) has it: ERR_CONFLICT when another one waits now; "": whatever waits. */
struct office_approval { const char *project, *shown; };
extern const struct record office_approval_record;
struct office_revision {
    const char *project, *shown;
    const char *text; /* what should be different, or the whole of it as the person edited it */
};
extern const struct record office_revision_record;

struct office_place { const char *project, *dir; };
extern const struct record office_place_record;

struct office_retry { const char *project, *thing, *hint; };
extern const struct record office_retry_record;

struct office_models { const char *project; struct texts models; };
extern const struct record office_models_record;

extern const struct record office_handed_record; /* struct handed */

struct office_clone { const char *project, *thing, *dir; };
extern const struct record office_clone_record;

/* A merge by hand: the files of the person's clone, or these. */
struct office_file { const char *path, *text; };
struct office_merge {
    const char *project, *thing;
    const char *tree;      /* that was shown to the person; ERR_CONFLICT when it is another one now */
    bool from_clone, changes_tests;
    struct records files;  /* struct office_file */
};
extern const struct record office_merge_record;
struct office_merged {
    const char *fault, *output; /* as team_resolve_take says */
    struct texts left_out;      /* files of the clone that are not part of the merge */
};
extern const struct record office_merged_record;

struct office_release {
    const char *project;
    bool partial;
    const char *from, *dev; /* as they were shown to the person; ERR_CONFLICT when they are others now */
};
extern const struct record office_release_record;
struct office_note { const char *note; };
extern const struct record office_note_record;

struct office_nothing { bool nothing; };
extern const struct record office_nothing_record;

/* A sitting. */
struct office_sitting {
    const char *project;
    struct texts models;  /* words as --model takes them; none: those of the project, or else the routes */
    int drift;            /* enum drift_rule */
    const char *record;   /* directory for a recording; "" */
    bool goes_on;         /* after a gate in the same sitting of the person */
};
extern const struct record office_sitting_record;
/* How it ended. */
struct office_ended {
    int end;              /* enum team_end */
    const char *notes;    /* warnings for the person, in lines; "" */
};
extern const struct record office_ended_record;

#endif
