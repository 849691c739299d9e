/* tmpdir.h - a private directory for one test, removed at its end. */
#ifndef TANDEM_TEST_TMPDIR_H
#define TANDEM_TEST_TMPDIR_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "os/files.h"

struct tmpdir {
    char path[256];
    int fd;
};

static inline struct tmpdir tmpdir_make(void)
{
    struct tmpdir t;
    const char *base = getenv("TMPDIR");
    snprintf(t.path, sizeof t.path, "%s/tandem-test-XXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(t.path));
    t.fd = open(t.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(t.fd >= 0);
    return t;
}

static inline void tmpdir_remove(struct tmpdir *t)
{
    struct err e;
    check_ok(dir_empty(t->fd, &e), &e);
    close(t->fd);
    assert_int_equal(rmdir(t->path), 0);
}

#endif
