/* upstream_log.c - what the fake model server saw, a line of JSON for each event, so that a test
 * can say when a client left, or which slot a request got.  Several processes may write one file. */
#include "fake.h"

#include "base/clock.h"
#include "base/json.h"
#include "os/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_LOG = 64 << 20 };

static int log_fd = -1;

void log_open(const char *path)
{
    log_fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (path && log_fd < 0) {
        perror("fake upstream: the log");
        exit(2);
    }
}

void log_line(const char *kind, json_t *more)
{
    json_t *line = more ? more : json_object();
    if (log_fd >= 0) {
        STR_LOCAL(text);
        json_put_text(line, "kind", kind);
        json_put_int(line, "at_us", clock_steady_us());
        json_put_int(line, "pid", getpid());
        json_write(&text, line);
        str_add_char(&text, '\n');
        if (write(log_fd, text.data, text.len) != (ssize_t)text.len)
            perror("fake upstream: the log");
    }
    json_decref(line);
}

int64_t log_count(const char *path, const char *kind, const char *model)
{
    STR_LOCAL(text);
    int64_t count = 0;
    if (!path || file_read_path(path, MAX_LOG, &text, NULL) < 0)
        return 0;
    for (char *line = text.data, *end; (end = strchr(line, '\n')); line = end + 1) {
        json_t *json = json_loadb(line, (size_t)(end - line), 0, NULL);
        count += streq(json_text_of(json, "kind", ""), kind) && streq(json_text_of(json, "model", ""), model);
        json_decref(json);
    }
    return count;
}
