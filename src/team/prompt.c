/* prompt.c - fills placeholders.
 *
 * No conditions and no loops in templates: lists are rendered by the code that knows them,
 * and what a model sees can be predicted by reading one file.
 */
#include "team/prompt.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "os/share.h"

static const char *value_of(const struct prompt_value *values, const char *name, size_t len)
{
    for (; values->name; values++)
        if (strlen(values->name) == len && memcmp(values->name, name, len) == 0)
            return values->text ? values->text : "";
    return NULL;
}

int prompt_fill(struct arena *a, const char *template_text, const struct prompt_value *values,
                const char **ret, struct err *e)
{
    STR_LOCAL(out);
    const char *p = template_text;
    for (;;) {
        const char *open = strstr(p, "{{");
        if (!open)
            break;
        const char *close = strstr(open, "}}");
        if (!close)
            return err_set(e, ERR_INVALID, "a placeholder begins with {{ and has no }}");
        str_add_bytes(&out, p, (size_t)(open - p));
        const char *value = value_of(values, open + 2, (size_t)(close - open - 2));
        if (!value)
            return err_set(e, ERR_INVALID, "the placeholder %.*s is not known here",
                           (int)(close + 2 - open), open);
        p = close + 2;
        bool line_start = out.len == 0 || out.data[out.len - 1] == '\n';
        if (!*value && line_start && (*p == '\n' || !*p)) {
            if (*p)
                p++;
            /* One blank line remains of the two around it. */
            if (*p == '\n' && (out.len == 0 || ends_with(out.data, "\n\n")))
                p++;
            continue;
        }
        str_add(&out, value);
        /* A value that brings its own line end does not get a second one. */
        if (*p == '\n' && out.len && out.data[out.len - 1] == '\n' && *value)
            p++;
    }
    str_add(&out, p);
    str_rtrim(&out);
    *ret = arena_strndup(a, out.data, out.len);
    return 0;
}

int prompt_make(struct arena *a, const char *name, const char *const *override_dirs,
                const struct prompt_value *values, const char **ret, struct err *e)
{
    const char *path = arena_printf(a, "prompts/%s.md", name);
    const char *text;
    size_t len;
    int r = share_read(a, path, override_dirs, &text, &len, e);
    if (r == 0)
        r = prompt_fill(a, text, values, ret, e);
    return r < 0 ? err_prefix(e, "%s", path) : 0;
}
