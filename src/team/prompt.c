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

static int line_of(const char *text, const char *at)
{
    int line = 1;
    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

static int unknown(const char *text, const char *open, size_t len, const struct prompt_value *values, struct err *e)
{
    STR_LOCAL(known);
    for (const struct prompt_value *v = values; v->name; v++)
        str_addf(&known, "%s{{%s}}", known.len ? ", " : "", v->name);
    return err_set(e, ERR_INVALID, "line %d: the placeholder %.*s is not known here; %s%s", line_of(text, open), (int)(len < 80 ? len : 80), open,
                   known.len ? "known are " : "none is", known.data);
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
            return err_set(e, ERR_INVALID, "line %d: a placeholder begins with {{ and has no }}", line_of(template_text, open));
        str_add_bytes(&out, p, (size_t)(open - p));
        const char *value = value_of(values, open + 2, (size_t)(close - open - 2));
        if (!value)
            return unknown(template_text, open, (size_t)(close + 2 - open), values, e);
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
    return r < 0 ? err_prefix(e, "%s", share_where(a, path, override_dirs)) : 0;
}

/* Those of a template, each with an empty text, and a NULL name. */
static const struct prompt_value *placeholders(struct arena *a, const char *text)
{
    struct texts names = { 0 };
    for (const char *open = text, *close; (open = strstr(open, "{{")) && (close = strstr(open, "}}")); open = close) {
        const char *name = arena_strndup(a, open + 2, (size_t)(close - open - 2));
        if (!texts_has(&names, name))
            texts_add(&names, a, name);
    }
    struct prompt_value *values = ARENA_ARRAY(a, struct prompt_value, names.count + 1);
    for (size_t i = 0; i < names.count; i++)
        values[i] = (struct prompt_value){ names.items[i], "" };
    values[names.count] = (struct prompt_value){ NULL, NULL };
    return values;
}

int prompt_check(struct arena *a, const char *name, const char *const *override_dirs, struct err *e)
{
    const char *path = arena_printf(a, "prompts/%s.md", name), *ours, *text;
    size_t len;
    int r = share_read(a, path, NULL, &ours, &len, e);
    if (r == ERR_NOT_FOUND)
        return err_set(e, ERR_INVALID, "%s takes the place of no prompt of ours", share_where(a, path, override_dirs));
    return r < 0 ? r : prompt_make(a, name, override_dirs, placeholders(a, ours), &text, e);
}
