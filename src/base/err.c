/* err.c - errors as values.
 *
 * A fixed buffer, not an allocated chain of causes: an error must be reportable
 * when memory or disk is what ran out, and one sentence is what a person reads.
 */
#include "base/err.h"

#include "base/str.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void trim(char *text, size_t size)
{
    size_t len = strlen(text);
    if (len + 1 >= size)
        text[utf8_floor(text, len)] = '\0';
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    if (!e)
        return code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    trim(e->text, sizeof e->text);
    e->code = code;
    return code;
}

int err_set_errno(struct err *e, int code, int saved_errno, const char *fmt, ...)
{
    if (saved_errno == ENOSPC || saved_errno == EDQUOT)
        code = ERR_FULL;
    if (!e)
        return code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    size_t len = strlen(e->text);
    char reason[128];
    snprintf(e->text + len, sizeof e->text - len, ": %s",
             strerror_r(saved_errno, reason, sizeof reason));
    trim(e->text, sizeof e->text);
    e->code = code;
    return code;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
    if (!e)
        return ERR_FAILED;
    char before[sizeof e->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(before, sizeof before, fmt, ap);
    va_end(ap);
    char after[sizeof e->text];
    memcpy(after, e->text, sizeof after);
    size_t len = strlen(before);
    if (len > sizeof e->text / 2)
        len = utf8_floor(before, sizeof e->text / 2);
    snprintf(e->text, sizeof e->text, "%.*s: %.*s", (int)len, before,
             (int)(sizeof e->text - len - 3), after);
    trim(e->text, sizeof e->text);
    return e->code;
}

int err_recode(struct err *e, int code)
{
    if (e)
        e->code = code;
    return code;
}

const char *err_name(int code)
{
    switch (code) {
    case 0: return "ok";
    case ERR_INVALID: return "invalid";
    case ERR_USAGE: return "usage";
    case ERR_NOT_FOUND: return "not-found";
    case ERR_EXISTS: return "exists";
    case ERR_BUSY: return "busy";
    case ERR_CONFLICT: return "conflict";
    case ERR_FULL: return "disk-full";
    case ERR_CORRUPT: return "corrupt";
    case ERR_READONLY: return "read-only";
    case ERR_LIMIT: return "limit";
    case ERR_TIMEOUT: return "timeout";
    case ERR_CANCELLED: return "cancelled";
    case ERR_UNAVAILABLE: return "unavailable";
    case ERR_REFUSED: return "refused";
    case ERR_SETUP: return "setup";
    case ERR_GONE: return "gone";
    default: return "failed";
    }
}

int err_of_name(const char *name)
{
    for (int code = ERR_FAILED; code >= ERR_GONE; code--)
        if (streq(err_name(code), name))
            return code;
    return ERR_FAILED;
}
