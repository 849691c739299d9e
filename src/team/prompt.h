/* prompt.h - prompts from templates with plain placeholders (share/prompts/).
 *
 * "{{name}}" is replaced by a value; nothing else is interpreted, so that a template can
 * be read as what will be sent.  A placeholder alone on its line whose value is empty takes
 * the line (and one of two blank lines around it) with it.  An unknown placeholder is an error, so that a typing mistake in an
 * overridden prompt does not reach a model.
 */
#ifndef TANDEM_PROMPT_H
#define TANDEM_PROMPT_H

#include <stddef.h>

struct arena;
struct err;

struct prompt_value {
    const char *name;
    const char *text;
};

/* Fills a template's text.  `values` ends with a NULL name.  ERR_INVALID names the line and the
 * placeholders that are known. */
int prompt_fill(struct arena *a, const char *template_text, const struct prompt_value *values,
                const char **ret, struct err *e);

/* Reads "prompts/<name>.md" (an override directory wins) and fills it. */
int prompt_make(struct arena *a, const char *name, const char *const *override_dirs,
                const struct prompt_value *values, const char **ret, struct err *e);

/* Whether "prompts/<name>.md", as a person has overridden it, is a prompt of ours and has no
 * placeholder that ours has not: before anything has been paid for. */
int prompt_check(struct arena *a, const char *name, const char *const *override_dirs, struct err *e);

#endif
