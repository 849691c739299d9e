/* fake_process.c - see the header. */
#include "check.h"
#include "fake_process.h"

#include "base/clock.h"
#include "base/json.h"
#include "os/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WAIT_MS = 5000, LOOK_MS = 5, MAX_FLAGS = 40, STOP_MS = 3000, MAX_LOG = 256 << 20 };

const char fake_program[] = FAKE_UPSTREAM;

void fake_make(struct fake_process *p)
{
    *p = (struct fake_process){ .service = NULL };
    scratch_make(&p->room);
    fake_script(p, "");
}

void fake_script(struct fake_process *p, const char *yaml)
{
    scratch_write(&p->room, "script.new", yaml);
    assert_int_equal(rename(scratch_path(&p->room, "script.new"), scratch_path(&p->room, "script.yaml")), 0);
}

const char *const *fake_environment(struct fake_process *p)
{
    const char **env = ARENA_ARRAY(&p->room.arena, const char *, 4);
    env[0] = arena_printf(&p->room.arena, "UPSTREAM_SCRIPT=%s", scratch_path(&p->room, "script.yaml"));
    env[1] = arena_printf(&p->room.arena, "UPSTREAM_LOG=%s", scratch_path(&p->room, "log"));
    /* Where a sanitizer shall write, for example. */
    const char *options = getenv("ASAN_OPTIONS");
    env[2] = options ? arena_printf(&p->room.arena, "ASAN_OPTIONS=%s", options) : NULL;
    return env;
}

void fake_start(struct fake_process *p, const char *pose, bool on_socket, const char *const *flags)
{
    const char *argv[MAX_FLAGS] = { fake_program, "--as", pose, on_socket ? "--host" : "--port",
                                    on_socket ? scratch_path(&p->room, "model.sock") : "0" };
    size_t count = 5, started = fake_count(p, "listening");
    struct err e;
    for (; flags && *flags && count + 1 < MAX_FLAGS; flags++)
        argv[count++] = *flags;
    struct process_options o = { .argv = argv, .env = fake_environment(p) };
    if (on_socket)
        unlink(scratch_path(&p->room, "model.sock"));
    check_ok(service_start(&p->service, &o, &e), &e);
    const json_t *line = fake_log(p, "listening", started);
    if (!line)
        fail_msg("the fake model server does not listen: %s", service_said(p->service));
    p->url = on_socket ? arena_printf(&p->room.arena, "unix:%s", scratch_path(&p->room, "model.sock"))
                       : arena_printf(&p->room.arena, "http://127.0.0.1:%d", (int)json_int_of(line, "port", 0));
}

void fake_stop(struct fake_process *p, struct process_result *ret)
{
    service_end(p->service, STOP_MS, ret);
    p->service = NULL;
}

void fake_remove(struct fake_process *p)
{
    fake_stop(p, NULL);
    scratch_remove(&p->room);
}

/* ---- the log ---- */

typedef bool (*is_wanted)(const json_t *line, const void *what);

/* The n-th line that is wanted; *ret_count (may be NULL) counts all. */
static const json_t *find(struct fake_process *p, is_wanted wanted, const void *what, size_t n, size_t *ret_count)
{
    STR_LOCAL(text);
    const json_t *found = NULL;
    size_t count = 0;
    if (file_read_path(scratch_path(&p->room, "log"), MAX_LOG, &text, NULL) < 0)
        str_clear(&text);
    for (char *line = text.data, *end; !(found && !ret_count) && (end = strchr(line, '\n')); line = end + 1) {
        json_t *json = json_loadb(line, (size_t)(end - line), 0, NULL);
        assert_non_null(json);
        if (wanted(json, what) && count++ == n)
            found = json_keep(&p->room.arena, json);
        else
            json_decref(json);
    }
    if (ret_count)
        *ret_count = count;
    return found;
}

static const json_t *wait_for(struct fake_process *p, is_wanted wanted, const void *what, size_t n)
{
    int64_t end = clock_steady_ms() + WAIT_MS;
    for (;;) {
        const json_t *line = find(p, wanted, what, n, NULL);
        if (line || clock_steady_ms() > end)
            return line;
        usleep(LOOK_MS * 1000);
    }
}

static bool is_kind(const json_t *line, const void *kind)
{
    return streq(json_text_of(line, "kind", ""), kind);
}

const json_t *fake_log(struct fake_process *p, const char *kind, size_t n)
{
    return wait_for(p, is_kind, kind, n);
}

size_t fake_count(struct fake_process *p, const char *kind)
{
    size_t count;
    find(p, is_kind, kind, SIZE_MAX, &count);
    return count;
}

struct about {
    const char *kind;
    int64_t request;
};

static bool is_about(const json_t *line, const void *what)
{
    const struct about *a = what;
    return is_kind(line, a->kind) && json_int_of(line, "n", 0) == a->request;
}

const json_t *fake_log_of(struct fake_process *p, const char *kind, int64_t request)
{
    return wait_for(p, is_about, &(struct about){ kind, request }, 0);
}

static bool is_request_to(const json_t *line, const void *path)
{
    return is_kind(line, "request") && streq(json_text_of(line, "path", ""), path);
}

const json_t *fake_request(struct fake_process *p, const char *path, size_t n)
{
    return wait_for(p, is_request_to, path, n);
}

const json_t *fake_request_body(struct fake_process *p, const char *path, size_t n)
{
    json_t *value = NULL;
    struct err e;
    const char *text = json_text_of(fake_request(p, path, n), "body", "");
    check_ok(json_parse(&p->room.arena, text, strlen(text), &value, &e), &e);
    return value;
}
