/* whole.h - files that an answer changes by search/replace blocks, made whole.
 *
 * Everything that judges an answer (frozen tests, scope, growth of tests, limits) sees whole
 * files, so that no rule has to know how they were given.
 */
#ifndef TANDEM_WHOLE_H
#define TANDEM_WHOLE_H

#include "model/answer.h"
#include "team/step.h"

/* What came of the edits of one answer. */
struct edit_use {
    int64_t edits, inexact; /* all; those that fitted with white space left aside */
    bool misfit;            /* one does not fit */
    const char *shown;      /* then: "" or the part of the file that it may mean */
};
#define EDIT_USE_INIT { .shown = "" }

/* Makes a file whole by its edits of what it is in a tree; one that is whole stays as it is.
 * *ret_fault: "" or which edit does not fit, for the model; the file is as it was then. */
int whole_file(struct step *s, const struct oid *tree, struct answer_file *f, struct edit_use *use, const char **ret_fault,
               struct err *e);

/* The event of an answer with edits ("answer.edited"): how many, how many inexact, whether all
 * fitted, and whether the model was told of the format. */
void edit_use_note(struct step *s, enum role role, const struct edit_use *use);

/* What an answer's files, all whole, change in a tree: as many as there are. */
struct tree_change *whole_changes(struct arena *a, const struct answer_files *files);

#endif
