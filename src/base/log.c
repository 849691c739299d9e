/* log.c - one write per line, so that lines of several threads do not mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Atomic int threshold = LOG_WARNING;

void log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
}

void log_line(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = { "debug", "info", "warning", "error" };
    if ((int)level < atomic_load(&threshold))
        return;
    char line[2048];
    int start = snprintf(line, sizeof line, "tandem: %s: ", names[level]);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line + start, sizeof line - (size_t)start - 1, fmt, ap);
    va_end(ap);
    size_t len = strlen(line);
    line[len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, len);
    (void)ignored;
}
