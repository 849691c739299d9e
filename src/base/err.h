/* err.h - what went wrong, in a sentence for people.
 *
 * A function that can fail returns 0, or one of the negative codes below after
 * filling the caller's `struct err`.  Outputs (`ret_*`) are untouched on failure.
 * The code is for programs (what to do next), the text for people: it names the
 * cause and, where there is one, the next step.
 *
 * Threads: a struct err belongs to its caller; nothing here is shared.
 */
#ifndef TANDEM_ERR_H
#define TANDEM_ERR_H

#include <stdarg.h>
#include <stddef.h>

enum err_code {
    ERR_FAILED = -1,       /* it did not work, and no better code fits */
    ERR_INVALID = -2,      /* the input is wrong; the text says where */
    ERR_USAGE = -3,        /* the command line is wrong */
    ERR_NOT_FOUND = -4,    /* the thing named does not exist */
    ERR_EXISTS = -5,       /* the thing to be made exists already */
    ERR_BUSY = -6,         /* another process or task holds it */
    ERR_CONFLICT = -7,     /* it changed since it was read: read again */
    ERR_FULL = -8,         /* the disk is full; nothing was written */
    ERR_CORRUPT = -9,      /* stored data does not hold together */
    ERR_READONLY = -10,    /* opened for reading only */
    ERR_LIMIT = -11,       /* a configured limit was reached */
    ERR_TIMEOUT = -12,     /* a deadline passed */
    ERR_CANCELLED = -13,   /* somebody asked to stop */
    ERR_UNAVAILABLE = -14, /* a tool, server or feature is missing or not answering */
    ERR_REFUSED = -15,     /* a rule forbids it */
    ERR_SETUP = -16,       /* no further try can succeed until a person starts it otherwise */
    ERR_GONE = -17,        /* who was asked has ended, perhaps before doing it: ask whoever is there next */
};

struct err {
    int code;
    char text[1024];
};

/* Fills `e` (which may be NULL) and returns `code`.  Too long a text is cut at a
 * whole UTF-8 character. */
int err_set(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set, and appends ": " and the text of `saved_errno`.  ENOSPC and EDQUOT
 * turn `code` into ERR_FULL. */
int err_set_errno(struct err *e, int code, int saved_errno, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "<text>: " before what `e` says already and returns e->code. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same text under another code, which it returns. */
int err_recode(struct err *e, int code);

/* A one-word name of a code ("conflict"), for logs and JSON.  Never NULL. */
const char *err_name(int code);
/* The other way round; ERR_FAILED for a word that is none of them. */
int err_of_name(const char *name);

#endif
