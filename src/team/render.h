/* render.h - parts of prompts: files, criteria, results, as Markdown.
 *
 * Deterministic: the same documents and trees give the same bytes. */
#ifndef TANDEM_RENDER_H
#define TANDEM_RENDER_H

#include "team/step.h"

/* A file as "### path" and a fence longer than any in it. */
void render_file(struct str *out, const char *path, const char *bytes, size_t len);
/* The files (or "path:symbol" parts) of a tree, nothing twice; a file that is not there is left
 * out, a symbol that is not there is named before its whole file. */
int render_files(struct step *s, const char *tree, const struct texts *paths, const char **ret, struct err *e);
/* "1. text [clause 3]" lines. */
const char *render_criteria(struct arena *a, const struct ticket *t);
/* What failed and why, then what the run printed: at most `max` bytes.  "" when there is
 * nothing to say. */
const char *render_failures(struct arena *a, const struct test_results *results, const char *output, size_t max);
/* The results of a stored run. */
int stored_results(struct store *store, struct arena *a, const struct run *run, struct test_results *ret, struct err *e);
/* Output of a run, fenced, cut to its telling end: at most `max` bytes. "" for none. */
const char *render_output(struct arena *a, const char *output, size_t max);
/* Ids with outcomes (passing ones beside `own` only counted; NULL: none is own), then
 * coverage: what the Architect sees. */
const char *render_results(struct arena *a, const struct suite_run *run, const struct texts *own);
const char *render_list(struct arena *a, const struct texts *t, const char *none);

/* The project's context (spec and map of a tree) for a role's first turn; with a ticket
 * when the step has one. */
int render_context(struct step *s, const char *tree, const char **ret, struct err *e);
/* The role's system prompt. */
int render_system(struct step *s, enum role role, const char **ret, struct err *e);
/* How the role gives files, as its system prompt has told it: "whole", or also by edits. */
const char *render_form(const struct step *s, enum role role);

int spec_text(struct step *s, const char **ret, struct err *e);

#endif
