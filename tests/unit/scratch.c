/* scratch.c - see scratch.h.  A shell script is the shortest way to say what a person did. */
#include "scratch.h"

#include "check.h"

#include "os/files.h"
#include "os/process.h"

#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

void scratch_make(struct scratch *s)
{
    snprintf(s->path, sizeof s->path, "/tmp/tandem-test-XXXXXX");
    if (!mkdtemp(s->path))
        fail_msg("cannot make %s", s->path);
    arena_init(&s->arena);
}

void scratch_remove(struct scratch *s)
{
    struct err e;
    int fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check_ok(dir_empty(fd, &e), &e);
    close(fd);
    rmdir(s->path);
    arena_release(&s->arena);
}

const char *scratch_path(struct scratch *s, const char *fmt, ...)
{
    STR_LOCAL(path);
    str_addf(&path, "%s/", s->path);
    va_list ap;
    va_start(ap, fmt);
    str_vaddf(&path, fmt, ap);
    va_end(ap);
    return arena_strdup(&s->arena, path.data);
}

void scratch_write(struct scratch *s, const char *name, const char *text)
{
    struct err e;
    int fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check_ok(file_write(fd, name, text, strlen(text), 0644, false, &e), &e);
    close(fd);
}

const char *scratch_read(struct scratch *s, const char *name)
{
    struct err e;
    STR_LOCAL(text);
    check_ok(file_read_path(scratch_path(s, "%s", name), 1 << 20, &text, &e), &e);
    return arena_strdup(&s->arena, text.data);
}

bool scratch_has(struct scratch *s, const char *name)
{
    return access(scratch_path(s, "%s", name), F_OK) == 0;
}

const char *scratch_sh(struct scratch *s, const char *script)
{
    struct err e;
    const char *env[] = { "PATH=" PROCESS_PATH, arena_printf(&s->arena, "HOME=%s", s->path), "LC_ALL=C",
                          "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org",
                          "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org",
                          "GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=init.defaultBranch", "GIT_CONFIG_VALUE_0=main",
                          "GIT_CONFIG_KEY_1=protocol.file.allow", "GIT_CONFIG_VALUE_1=always", NULL };
    struct process_options o = {
        .argv = (const char *const[]){ "sh", "-euc", script, NULL },
        .env = env,
        .cwd = s->path,
        .timeout_ms = 60 * 1000,
    };
    struct process_result p;
    check_ok(process_run(&o, &p, &e), &e);
    if (p.end != PROCESS_EXITED || p.status != 0)
        fail_msg("script failed (%d): %s\n%s%s", p.status, script, p.out.data, p.err.data);
    str_rtrim(&p.out);
    const char *out = arena_strdup(&s->arena, p.out.data);
    process_result_release(&p);
    return out;
}
