/* sandbox_test.c - proves the sandbox on this machine, before code is trusted to it.
 *
 * The quick part runs every attempt of init/probe.c in one sandboxed process; it costs
 * little more than a run of `true`, so it is made at each opening.  The full part adds
 * what takes time: that the limits hold.
 */
#include "os/sandbox_internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "os/files.h"
#include "os/init/probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- why it could not be had ---- */

static bool file_says(const char *path, char c)
{
    STR_LOCAL(text);
    return file_read_path(path, 100, &text, NULL) == 0 && text.data[0] == c;
}

/* What to do about a sandbox that could not be set up; NULL: the complaint says all. */
static const char *remedy(const char *complaint)
{
    if (!strstr(complaint, "bwrap: "))
        return NULL;
    if (strstr(complaint, "Unknown option"))
        return "bubblewrap is too old; version 0.8 or newer is needed";
    if (file_says("/proc/sys/kernel/unprivileged_userns_clone", '0'))
        return "user namespaces are switched off; switch them on with: sysctl -w kernel.unprivileged_userns_clone=1";
    if (file_says("/proc/sys/user/max_user_namespaces", '0'))
        return "user namespaces are switched off; switch them on with: sysctl -w user.max_user_namespaces=15000";
    if (file_says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", '1'))
        return "AppArmor forbids user namespaces; allow them for bwrap with a profile, or for all with: "
               "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
    if (access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0)
        return "this is a container: start it with --security-opt seccomp=unconfined --security-opt "
               "apparmor=unconfined --security-opt systempaths=unconfined (or --privileged)";
    return "user namespaces or mounts are forbidden here";
}

/* ---- the attempts ---- */

/* What the attempts must not reach: listeners of ours, a variable, a directory. */
struct bait {
    int tcp, local;
    char port[16], name[64], pid[32], tmp_bytes[32];
};

static int bait_set(struct bait *b, struct err *e)
{
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_un local = { .sun_family = AF_UNIX };
    socklen_t len = sizeof any;
    snprintf(b->name, sizeof b->name, "tandem-bait-%ld-%p", (long)getpid(), (void *)b);
    snprintf(local.sun_path + 1, sizeof local.sun_path - 1, "%s", b->name);
    socklen_t local_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(b->name));
    b->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    b->local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (b->local < 0 || bind(b->local, (struct sockaddr *)&local, local_len) != 0 || listen(b->local, 8) != 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot make the self-test's socket");
    /* A machine without IPv4 has no loopback to hide; any port will do then. */
    if (b->tcp < 0 || bind(b->tcp, (struct sockaddr *)&any, len) != 0 || listen(b->tcp, 8) != 0
        || getsockname(b->tcp, (struct sockaddr *)&any, &len) != 0)
        any.sin_port = htons(9);
    snprintf(b->port, sizeof b->port, "%u", ntohs(any.sin_port));
    snprintf(b->pid, sizeof b->pid, "%ld", (long)getpid());
    snprintf(b->tmp_bytes, sizeof b->tmp_bytes, "%lld", (long long)sandbox_default_limits.tmp_mib * SANDBOX_MIB);
    return 0;
}

static void bait_clear(struct bait *b)
{
    if (b->tcp >= 0)
        close(b->tcp);
    if (b->local >= 0)
        close(b->local);
}

/* "NAME=" of a variable that we have and the code must not see; any will do. */
static const char *a_variable(struct arena *a)
{
    static const char *const own[] = { "PATH", "HOME", "TMPDIR", "LANG", "TZ", "USER", "PWD" };
    for (char **p = environ; p && *p; p++) {
        size_t len = strcspn(*p, "=");
        bool everybody_has_it = len == 0 || len > 200 || (*p)[len] != '=';
        for (size_t i = 0; i < sizeof own / sizeof *own; i++)
            everybody_has_it = everybody_has_it || (strlen(own[i]) == len && strncmp(*p, own[i], len) == 0);
        if (!everybody_has_it)
            return arena_strndup(a, *p, len + 1);
    }
    return "TANDEM_HAS_NO_ENVIRONMENT=";
}

static int run_attempts(struct sandbox *s, struct sandbox_result *ret, struct err *e)
{
    ARENA_LOCAL(a);
    struct bait bait;
    struct sandbox_room room;
    int code = bait_set(&bait, e);
    if (code == 0)
        code = sandbox_room_make(s, &room, e);
    if (code == 0) {
        const char *const args[PROBE_ARGS + 1] = {
            [PROBE_HOST_PID] = bait.pid, [PROBE_HOST_PORT] = bait.port, [PROBE_HOST_SOCKET] = bait.name,
            [PROBE_VARIABLE] = a_variable(&a), [PROBE_SCRATCH] = s->scratch, [PROBE_TMP_BYTES] = bait.tmp_bytes,
        };
        struct sandbox_limits limits = sandbox_default_limits;
        limits.timeout_ms = 30000;
        code = sandbox_execute(s, &(struct sandbox_run){ .room = &room, .limits = &limits }, args, ret, e);
        sandbox_room_remove(s, &room);
    }
    bait_clear(&bait);
    return code;
}

typedef void report_fn(const char *check, bool ok, const char *detail, void *ctx);

/* Reads probe.c's lines; returns how many are bad, counting an unfinished list as one. */
static int report_attempts(const struct sandbox_result *r, report_fn *report, void *ctx)
{
    int bad = 0;
    ARENA_LOCAL(a);
    char *text = arena_strdup(&a, r->process.out.data);
    for (char *line = text, *end; *line && (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        if (starts_with(line, "ok ")) {
            report(line + 3, true, "", ctx);
            continue;
        }
        char *colon = strstr(line, ": ");
        if (!starts_with(line, "FAIL ") || !colon)
            continue;
        *colon = '\0';
        report(line + 5, false, colon + 2, ctx);
        bad++;
    }
    if (r->process.end != PROCESS_EXITED || r->process.status != 0) {
        char how[64];
        report("the attempts come to an end", false, process_result_describe(&r->process, how, sizeof how), ctx);
        bad++;
    }
    return bad;
}

static void first_failure(const char *check, bool ok, const char *detail, void *ctx)
{
    struct str *failure = ctx;
    if (!ok && !failure->len)
        str_addf(failure, "%s: %s", check, detail);
}

int sandbox_quick_test(struct sandbox *s, struct err *e)
{
    struct sandbox_result r;
    int code = run_attempts(s, &r, e);
    if (code == ERR_UNAVAILABLE) {
        const char *advice = remedy(e->text);
        return advice ? err_prefix(e, "%s", advice) : code;
    }
    if (code < 0)
        return code;
    STR_LOCAL(failure);
    if (report_attempts(&r, first_failure, &failure))
        code = err_set(e, ERR_UNAVAILABLE, "the sandbox does not hold on this system: %s", failure.data);
    sandbox_result_release(&r);
    return code;
}

/* ---- the limits ---- */

struct limit_check {
    const char *name, *script;
    struct sandbox_limits limits;
    bool (*holds)(const struct sandbox_result *r, const struct sandbox *s);
};

static bool timed_out(const struct sandbox_result *r, const struct sandbox *s)
{
    (void)s;
    return r->process.end == PROCESS_TIMED_OUT && r->limit_hit;
}

static bool flooded(const struct sandbox_result *r, const struct sandbox *s)
{
    (void)s;
    return r->process.end == PROCESS_FLOODED && r->limit_hit;
}

static bool out_of_memory_noticed(const struct sandbox_result *r, const struct sandbox *s)
{
    /* Without a cgroup the allocation fails instead. */
    return cgroup_limits_memory(s->cgroups) ? r->oom_killed && r->limit_hit
                                            : r->process.end != PROCESS_EXITED || r->process.status != 0;
}

/* A room in memory counts as memory of its run too (and is sampled, so either limit may come
 * first): what matters is that one of them ends it. */
static bool disk_noticed(const struct sandbox_result *r, const struct sandbox *s)
{
    (void)s;
    return (r->disk_exceeded || r->oom_killed) && r->limit_hit;
}

static bool said_no(const struct sandbox_result *r, const struct sandbox *s)
{
    (void)s;
    return r->process.end == PROCESS_EXITED && streq(r->process.out.data, "no\n");
}

static bool ended_well(const struct sandbox_result *r, const struct sandbox *s)
{
    (void)s;
    return r->process.end == PROCESS_EXITED && r->process.status == 0 && r->process.wall_us < 5000000;
}

/* Where no process can be made any more some shells give up before the deadline. */
static bool contained(const struct sandbox_result *r, const struct sandbox *s)
{
    (void)s;
    return strstr(r->process.err.data, "ork") && r->process.wall_us < 5000000 && (r->process.end != PROCESS_EXITED || r->process.status != 0);
}

#define LIMITS(ms, disk) \
    { .timeout_ms = (ms), .memory_mib = 64, .processes = 32, .file_mib = 16, .tmp_mib = 16, .disk_mib = (disk), .max_output = 65536 }

static const struct limit_check limit_checks[] = {
    { "a program that hangs is ended", "sleep 60", LIMITS(300, 64), timed_out },
    { "output without end is cut", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
      LIMITS(10000, 64), flooded },
    { "memory is limited", "x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done; exit 0", LIMITS(10000, 64),
      out_of_memory_noticed },
    /* "Without end" is 400, lest this test be what it tests for. */
    { "a program that forks without end is contained",
      "i=0; while [ $i -lt 400 ]; do sleep 60 & i=$((i+1)); done; sleep 60", LIMITS(1000, 64), contained },
    { "the disk is limited",
      "i=0; while [ $i -lt 60 ]; do head -c 10000000 /dev/zero > /work/$i 2>/dev/null; i=$((i+1)); done; sleep 5",
      LIMITS(10000, 24), disk_noticed },
    { "files are limited", "head -c 20000000 /dev/zero 2>/dev/null > /work/big && echo yes || echo no",
      LIMITS(10000, 64), said_no },
    { "/tmp is limited", "head -c 15000000 /dev/zero > /tmp/a; head -c 15000000 /dev/zero 2>/dev/null > /tmp/b "
      "&& echo yes || echo no", LIMITS(10000, 64), said_no },
    { "a daemon left behind is ended", "setsid sleep 60 & setsid sh -c 'sleep 60 & sleep 60' & exit 0",
      LIMITS(10000, 64), ended_well },
};

static bool check_limit(struct sandbox *s, const struct limit_check *c, char *detail, size_t size)
{
    struct sandbox_room room;
    struct sandbox_result r;
    struct err e;
    int code = sandbox_room_make(s, &room, &e);
    if (code == 0) {
        const char *const argv[] = { "sh", "-c", c->script, NULL };
        code = sandbox_run(s, &(struct sandbox_run){ .argv = argv, .room = &room, .limits = &c->limits }, &r, &e);
        sandbox_room_remove(s, &room);
    }
    if (code < 0) {
        snprintf(detail, size, "%.200s", e.text);
        return false;
    }
    bool holds = c->holds(&r, s);
    char how[64];
    process_result_describe(&r.process, how, sizeof how);
    snprintf(detail, size, "it %s%s%s", how, r.limit_hit ? "; " : "", r.limit_text);
    sandbox_result_release(&r);
    return holds;
}

int sandbox_self_test(struct sandbox *s, report_fn *report, void *ctx)
{
    struct sandbox_result r;
    struct err e;
    int bad = 0;
    if (run_attempts(s, &r, &e) < 0) {
        report("code can be run", false, e.text, ctx);
        return 1;
    }
    bad += report_attempts(&r, report, ctx);
    sandbox_result_release(&r);
    for (size_t i = 0; s->mode == SANDBOX_BWRAP && i < sizeof limit_checks / sizeof *limit_checks; i++) {
        char detail[300];
        bool holds = check_limit(s, &limit_checks[i], detail, sizeof detail);
        report(limit_checks[i].name, holds, detail, ctx);
        bad += !holds;
    }
    return bad;
}
