/* fake_process.h - the fake model server of tests/tools/upstream.c, as a process of its own.
 *
 * Include check.h first.  Threads: the test's.
 */
#ifndef TANDEM_TESTS_FAKE_PROCESS_H
#define TANDEM_TESTS_FAKE_PROCESS_H

#include "os/service.h"
#include "scratch.h"

#include <jansson.h>

struct fake_process {
    struct scratch room;     /* script.yaml, log, model.sock */
    struct service *service; /* NULL: it is not running */
    const char *url;         /* "http://127.0.0.1:PORT", or "unix:/.../model.sock" */
};

/* Makes the room; nothing runs yet. */
void fake_make(struct fake_process *p);
/* Replaces the script (its members: tests/tools/upstream_script.c); "" is an empty one. */
void fake_script(struct fake_process *p, const char *yaml);
/* Starts it posing as "llama-server", "vllm" or "ollama", on a Unix socket or on 127.0.0.1, and
 * waits until it listens.  `flags`: more of them, NULL-terminated; may be NULL. */
void fake_start(struct fake_process *p, const char *pose, bool on_socket, const char *const *flags);
/* Ends it by service_end, with three seconds of grace; *ret may be NULL. */
void fake_stop(struct fake_process *p, struct process_result *ret);
/* Stops it if it runs, and removes the room. */
void fake_remove(struct fake_process *p);

/* The environment and path with which others start it in llama-server's place. */
extern const char fake_program[];
const char *const *fake_environment(struct fake_process *p);

/* The n-th (from 0) line of the log of that kind, waited for up to 5 s; NULL: it never came.
 * Lives as long as the room. */
const json_t *fake_log(struct fake_process *p, const char *kind, size_t n);
/* How many there are now. */
size_t fake_count(struct fake_process *p, const char *kind);
/* The line of that kind about the request with this number; waited for, as above. */
const json_t *fake_log_of(struct fake_process *p, const char *kind, int64_t request);
/* The n-th (from 0) request to a path, and its body. */
const json_t *fake_request(struct fake_process *p, const char *path, size_t n);
const json_t *fake_request_body(struct fake_process *p, const char *path, size_t n);

#endif
