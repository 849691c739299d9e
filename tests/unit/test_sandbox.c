/* The sandbox: nothing gets out, every limit holds, nothing is left, whoever is killed when.
 *
 * All code run here is bounded by itself too, so that a sandbox that fails costs a failed
 * test and not the machine.
 */
#include "check.h"
#include "proctab.h"
#include "tmpdir.h"

#include "base/clock.h"
#include "base/str.h"
#include "os/sandbox.h"
#include "os/sandbox_child.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Some tests fork while there are threads, which ThreadSanitizer allows only when asked. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

static struct tmpdir base; /* of all scratch directories here */
static struct sandbox *box;

#define SH(script) (const char *const[]){ "sh", "-c", (script), NULL }

/* A number of seconds to sleep that no other process on the machine uses. */
static const char *nap(void)
{
    static char text[32];
    snprintf(text, sizeof text, "20.%ld", (long)getpid());
    return text;
}

/* `script` with every "NAP" replaced; overwritten by the next call. */
static const char *with_nap(const char *script)
{
    static char text[500];
    size_t len = 0;
    for (const char *p; (p = strstr(script, "NAP")); script = p + 3)
        len += (size_t)snprintf(text + len, sizeof text - len, "%.*s%s", (int)(p - script), script, nap());
    snprintf(text + len, sizeof text - len, "%s", script);
    return text;
}

static const struct sandbox_limits small = {
    .timeout_ms = 20000, .memory_mib = 128, .processes = 40, .file_mib = 32, .tmp_mib = 32, .disk_mib = 48,
    .max_output = 100000,
};

static struct sandbox_result run_in(const struct sandbox_room *room, struct sandbox_run run)
{
    struct sandbox_result r;
    struct err e;
    run.room = room;
    if (!run.limits)
        run.limits = &small;
    check_ok(sandbox_run(box, &run, &r, &e), &e);
    return r;
}

static struct sandbox_result run(struct sandbox_run how)
{
    struct sandbox_room room;
    struct err e;
    check_ok(sandbox_room_make(box, &room, &e), &e);
    struct sandbox_result r = run_in(&room, how);
    sandbox_room_remove(box, &room);
    return r;
}

/* ---- the ordinary case ---- */

static void output_and_status_come_back(void **state)
{
    (void)state;
    struct sandbox_result r = run((struct sandbox_run){ .argv = SH("echo out; echo err >&2; exit 3") });
    assert_int_equal(r.process.end, PROCESS_EXITED);
    assert_int_equal(r.process.status, 3);
    assert_string_equal(r.process.out.data, "out\n");
    assert_string_equal(r.process.err.data, "err\n");
    assert_false(r.limit_hit);
    assert_string_equal(r.limit_text, "");
    sandbox_result_release(&r);
}

static void a_signal_is_told_from_a_status_that_looks_like_it(void **state)
{
    (void)state;
    struct sandbox_result r = run((struct sandbox_run){ .argv = SH("exit 137") });
    assert_int_equal(r.process.end, PROCESS_EXITED);
    assert_int_equal(r.process.status, 137);
    sandbox_result_release(&r);
    r = run((struct sandbox_run){ .argv = SH("kill -KILL $$") });
    assert_int_equal(r.process.end, PROCESS_SIGNALLED);
    assert_int_equal(r.process.status, SIGKILL);
    assert_false(r.oom_killed);
    sandbox_result_release(&r);
}

static void a_missing_program_is_an_error_that_names_it(void **state)
{
    (void)state;
    struct sandbox_room room;
    struct sandbox_result r;
    struct err e;
    check_ok(sandbox_room_make(box, &room, &e), &e);
    struct sandbox_run how = { .argv = (const char *const[]){ "no-such-program", NULL }, .room = &room };
    check_err(sandbox_run(box, &how, &r, &e), ERR_NOT_FOUND, &e, "no-such-program");
    check_ok(file_create(room.work_fd, "plain", "text", 4, 0644, &e), &e);
    how.argv = (const char *const[]){ "./plain", NULL };
    check_err(sandbox_run(box, &how, &r, &e), ERR_FAILED, &e, "./plain");
    sandbox_room_remove(box, &room);
}

static void work_and_out_go_in_and_come_back(void **state)
{
    (void)state;
    struct sandbox_room room;
    struct err e;
    check_ok(sandbox_room_make(box, &room, &e), &e);
    check_ok(file_create(room.work_fd, "src/a.txt", "one\n", 4, 0644, &e), &e);
    struct sandbox_result r = run_in(&room, (struct sandbox_run){ .argv = SH(
        "pwd; cat src/a.txt; echo two >> src/a.txt; echo made > src/b.txt; chmod 700 src; echo result > /out/x") });
    assert_string_equal(r.process.out.data, "/work\none\n");
    assert_string_equal(r.process.err.data, "");
    sandbox_result_release(&r);
    STR_LOCAL(text);
    check_ok(file_read(room.work_fd, "src/a.txt", 100, &text, &e), &e);
    check_ok(file_read(room.out_fd, "x", 100, &text, &e), &e);
    assert_string_equal(text.data, "one\ntwo\nresult\n");
    /* The engine writes frozen tests afresh, and the room serves another run. */
    check_ok(file_write(room.work_fd, "src/a.txt", "three\n", 6, 0644, false, &e), &e);
    r = run_in(&room, (struct sandbox_run){ .argv = SH("cat src/a.txt src/b.txt; echo no > src/a.txt"),
                                            .work_readonly = true });
    assert_string_equal(r.process.out.data, "three\nmade\n");
    assert_non_null(strstr(r.process.err.data, "ead-only"));
    sandbox_result_release(&r);
    sandbox_room_remove(box, &room);
    assert_int_equal(access(room.path, F_OK), -1);
}

static void tools_that_link_through_etc_alternatives_work(void **state)
{
    (void)state;
    if (access("/etc/alternatives/awk", F_OK) != 0)
        skip();
    struct sandbox_result r = run((struct sandbox_run){ .argv = (const char *const[]){ "awk", "BEGIN { print 6 * 7 }", NULL } });
    assert_string_equal(r.process.out.data, "42\n");
    sandbox_result_release(&r);
}

static void the_environment_is_ours_and_never_bubblewraps(void **state)
{
    (void)state;
    struct sandbox_result r = run((struct sandbox_run){ .argv = SH("env | sort") });
    assert_string_equal(r.process.out.data,
                        "HOME=/tmp\nLANG=C.UTF-8\nPATH=/usr/local/bin:/usr/bin:/bin\nPWD=/work\nTMPDIR=/tmp\nTZ=UTC\nUSER=tandem\n");
    sandbox_result_release(&r);
    r = run((struct sandbox_run){ .argv = (const char *const[]){ "true", NULL },
                                  .env = (const char *const[]){ "LD_PRELOAD=/work/evil.so", "TZ=CET", NULL } });
    /* The dynamic loader complains once, inside, for `true`; not also for bwrap, outside. */
    char *first = strstr(r.process.err.data, "evil.so");
    assert_non_null(first);
    assert_null(strstr(first + 1, "evil.so"));
    sandbox_result_release(&r);
}

static void further_directories_are_mounted_read_only(void **state)
{
    (void)state;
    struct tmpdir cache = tmpdir_make();
    struct err e;
    check_ok(file_create(cache.fd, "dep", "dependency\n", 11, 0644, &e), &e);
    assert_int_equal(fchmod(cache.fd, 0755), 0);
    struct sandbox_result r = run((struct sandbox_run){
        .argv = SH("cat /deps/dep; echo x > /deps/dep"), .readonly = { { cache.path, "/deps" } }, .readonly_count = 1 });
    assert_string_equal(r.process.out.data, "dependency\n");
    assert_non_null(strstr(r.process.err.data, "ead-only"));
    sandbox_result_release(&r);

    struct sandbox_room room;
    check_ok(sandbox_room_make(box, &room, &e), &e);
    struct sandbox_run how = { .argv = SH("true"), .room = &room, .readonly = { { "/no/such", "/deps" } },
                               .readonly_count = 1 };
    check_err(sandbox_run(box, &how, &r, &e), ERR_NOT_FOUND, &e, "/no/such");
    if (geteuid() == 0) {
        assert_int_equal(fchmod(cache.fd, 0700), 0);
        how.readonly[0].source = cache.path;
        check_err(sandbox_run(box, &how, &r, &e), ERR_REFUSED, &e, cache.path);
    }
    sandbox_room_remove(box, &room);
    tmpdir_remove(&cache);
}

static void a_file_out_of_reach_is_handed_over_read_only(void **state)
{
    (void)state;
    struct tmpdir closed = tmpdir_make();
    struct err made;
    STR_LOCAL(left);
    char path[400];
    snprintf(path, sizeof path, "%s/weights", closed.path);
    check_ok(file_create(closed.fd, "weights", "tensors", 7, 0644, &made), &made);
    struct sandbox_run how = { .argv = SH("(exec 3<&-; cat /model/weights); echo x > /model/weights; rm /model/weights; echo x >> /model/weights"),
                               .readonly = { { path, "/model/weights" } }, .readonly_count = 1 };
    struct sandbox_result r = run(how);
    assert_string_equal(r.process.out.data, "tensors");
    check_ok(file_read(closed.fd, "weights", 100, &left, &made), &made);
    assert_string_equal(left.data, "tensors");
    sandbox_result_release(&r);
    if (geteuid() == 0) {
        struct sandbox_room room;
        struct err e;
        assert_int_equal(chmod(path, 0600), 0); /* not even others may read it */
        check_ok(sandbox_room_make(box, &room, &e), &e);
        how.room = &room;
        check_err(sandbox_run(box, &how, &r, &e), ERR_REFUSED, &e, path);
        sandbox_room_remove(box, &room);
    }
    tmpdir_remove(&closed);
}

/* ---- spoken to ---- */

struct talk {
    struct sandbox_room room;
    struct sandbox_child *child;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct str heard;
    int64_t bytes;
    bool ended;
};

static void hear(int stream, const char *bytes, size_t len, void *ctx)
{
    struct talk *t = ctx;
    (void)stream;
    pthread_mutex_lock(&t->lock);
    t->bytes += (int64_t)len;
    if (t->heard.len < 1000)
        str_add_bytes(&t->heard, bytes, len);
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static void note_end(void *ctx)
{
    struct talk *t = ctx;
    pthread_mutex_lock(&t->lock);
    t->ended = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static void talk_begin(struct talk *t, const char *const *argv)
{
    static struct sandbox_limits limits;
    struct err e;
    limits = small;
    limits.timeout_ms = 0;
    *t = (struct talk){ .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .heard = STR_INIT };
    check_ok(sandbox_room_make(box, &t->room, &e), &e);
    struct sandbox_run how = { .argv = argv, .room = &t->room, .limits = &limits, .on_output = hear, .ctx = t };
    check_ok(sandbox_child_start(&t->child, box, &how, note_end, &e), &e);
}

static void talk_end(struct talk *t)
{
    sandbox_child_free(t->child);
    sandbox_room_remove(box, &t->room);
    str_release(&t->heard);
}

static void await_end(struct talk *t)
{
    pthread_mutex_lock(&t->lock);
    while (!t->ended)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

static void a_program_is_spoken_to_and_ends_with_its_input(void **state)
{
    (void)state;
    struct talk t;
    struct err e;
    const struct sandbox_result *end;
    talk_begin(&t, SH("while read line; do echo \"said $line\"; done; exit 7"));
    check_ok(sandbox_child_send(t.child, "one\n", 4, &e), &e);
    pthread_mutex_lock(&t.lock);
    while (t.heard.len < strlen("said one\n"))
        pthread_cond_wait(&t.changed, &t.lock);
    assert_string_equal(t.heard.data, "said one\n");
    pthread_mutex_unlock(&t.lock);
    check_ok(sandbox_child_send(t.child, "two\n", 4, &e), &e);
    sandbox_child_hang_up(t.child);
    await_end(&t);
    assert_string_equal(t.heard.data, "said one\nsaid two\n");
    check_ok(sandbox_child_end(t.child, &end, &e), &e);
    assert_int_equal(end->process.end, PROCESS_EXITED);
    assert_int_equal(end->process.status, 7);
    talk_end(&t);
}

/* Whether the bytes and the end come to the writer with one wake-up or with two is up to chance. */
static void the_end_of_input_is_never_missed(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        struct talk t;
        struct err e;
        talk_begin(&t, SH("while read line; do :; done"));
        check_ok(sandbox_child_send(t.child, "one\n", 4, &e), &e);
        sandbox_child_hang_up(t.child);
        await_end(&t);
        talk_end(&t);
    }
}

static void a_program_that_reads_nothing_and_prints_without_end_holds_nobody_up(void **state)
{
    (void)state;
    struct talk t;
    struct err e = { 0 };
    static char megabyte[1 << 20];
    int sent = 0;
    talk_begin(&t, SH("trap '' TERM; while :; do printf '%1000s\\n' x; done"));
    while (sent < 80 && sandbox_child_send(t.child, megabyte, sizeof megabyte, &e) == 0)
        sent++;
    assert_true(sent >= 63 && sent < 80);
    assert_int_equal(e.code, ERR_LIMIT);
    pthread_mutex_lock(&t.lock);
    while (t.bytes < 5 << 20)
        pthread_cond_wait(&t.changed, &t.lock);
    pthread_mutex_unlock(&t.lock);
    talk_end(&t); /* kills it */
}

/* ---- getting out ---- */

struct tally {
    int good, bad;
    struct str text;
};

static void count_checks(const char *check, bool ok, const char *detail, void *ctx)
{
    struct tally *t = ctx;
    t->good += ok;
    t->bad += !ok;
    if (!ok)
        str_addf(&t->text, "%s: %s\n", check, detail);
}

static void every_attempt_to_get_out_fails_and_every_limit_holds(void **state)
{
    (void)state;
    struct tally t = { .text = STR_INIT };
    int bad = sandbox_self_test(box, count_checks, &t);
    assert_string_equal(t.text.data, "");
    assert_int_equal(bad, 0);
    assert_int_equal(t.good, 24);
    str_release(&t.text);
}

static void the_attempts_succeed_where_there_is_no_sandbox(void **state)
{
    (void)state;
    struct err e;
    struct sandbox *none;
    struct tally t = { .text = STR_INIT };
    check_ok(sandbox_open(&none, SANDBOX_NONE, base.path, &e), &e);
    assert_non_null(strstr(sandbox_describe(none), "NO SANDBOX"));
    assert_string_not_equal(sandbox_lacks(none), "");
    sandbox_self_test(none, count_checks, &t);
    sandbox_free(none);
    static const char *const seen[] = {
        "no privileges", "processes outside are hidden", "system mounts", "private files", "network", "namespaces",
        "no mounts", "kernel interfaces", "what tests need",
    };
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
        if (!strstr(t.text.data, seen[i]))
            fail_msg("the attempt \"%s\" cannot fail; seen: %s", seen[i], t.text.data);
    str_release(&t.text);
}

static void a_sandbox_that_can_be_had_is_used(void **state)
{
    (void)state;
    struct err e;
    struct sandbox *s;
    check_ok(sandbox_open(&s, SANDBOX_IF_THERE, base.path, &e), &e);
    assert_null(strstr(sandbox_describe(s), "NO SANDBOX"));
    assert_string_equal(sandbox_lacks(s), "");
    sandbox_free(s);
}

static void the_servers_environment_is_out_of_reach(void **state)
{
    (void)state;
    setenv("TANDEM_TEST_SECRET", "s3cret-value", 1);
    struct sandbox_result r = run((struct sandbox_run){ .argv = SH(
        "env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; cat /proc/*/cmdline | tr '\\0' '\\n'") });
    assert_null(strstr(r.process.out.data, "s3cret"));
    assert_non_null(strstr(r.process.out.data, "HOME=/tmp"));
    sandbox_result_release(&r);
    unsetenv("TANDEM_TEST_SECRET");
}

static void the_network_is_there_only_when_allowed(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof to;
    assert_int_equal(bind(fd, (struct sockaddr *)&to, len), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &len), 0);
    char script[300];
    snprintf(script, sizeof script, "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", %u), 5)' 2>/dev/null "
             "&& echo connected || echo refused", ntohs(to.sin_port));
    if (access("/usr/bin/python3", X_OK) == 0) {
        struct sandbox_result r = run((struct sandbox_run){ .argv = SH(script) });
        assert_string_equal(r.process.out.data, "refused\n");
        sandbox_result_release(&r);
        r = run((struct sandbox_run){ .argv = SH(script), .network = true });
        assert_string_equal(r.process.out.data, "connected\n");
        sandbox_result_release(&r);
    }
    close(fd);
}

/* With the host's network a datagram socket could send to the abstract names of its services. */
static void no_unix_socket_reaches_the_host_over_its_network(void **state)
{
    (void)state;
    static const char script[] = "python3 -c '\nfrom socket import *\nfor kind in SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM, SOCK_RAW, SOCK_DGRAM | SOCK_NONBLOCK:\n"
        "    try:\n        socketpair(AF_UNIX, kind)\n        print(\"made\")\n    except OSError:\n        print(\"refused\")'";
    if (access("/usr/bin/python3", X_OK) != 0)
        skip();
    struct sandbox_result r = run((struct sandbox_run){ .argv = SH(script) });
    assert_string_equal(r.process.out.data, "made\nmade\nmade\nmade\nmade\n");
    sandbox_result_release(&r);
    r = run((struct sandbox_run){ .argv = SH(script), .network = true });
    assert_string_equal(r.process.out.data, "made\nmade\nrefused\nrefused\nrefused\n");
    sandbox_result_release(&r);
}

/* ---- bad input: code that misbehaves ---- */

static void a_test_that_hangs_is_ended(void **state)
{
    (void)state;
    struct sandbox_limits l = small;
    l.timeout_ms = 300;
    struct sandbox_result r = run((struct sandbox_run){ .argv = SH("echo begun; trap '' TERM INT HUP; while :; do sleep 1; done"),
                                                        .limits = &l });
    assert_int_equal(r.process.end, PROCESS_TIMED_OUT);
    assert_true(r.limit_hit);
    assert_string_equal(r.limit_text, "It took longer than 0.3 seconds.");
    assert_string_equal(r.process.out.data, "begun\n");
    assert_true(r.process.wall_us < 5000000);
    sandbox_result_release(&r);
}

static void a_test_that_prints_without_end_is_ended(void **state)
{
    (void)state;
    struct sandbox_result r = run((struct sandbox_run){ .argv = SH("yes >&2") });
    assert_int_equal(r.process.end, PROCESS_FLOODED);
    assert_true(r.limit_hit);
    assert_int_equal(r.process.err.len, small.max_output);
    sandbox_result_release(&r);
}

static void a_test_that_forks_without_end_is_contained(void **state)
{
    (void)state;
    struct sandbox_limits l = small;
    l.timeout_ms = 1500;
    /* 2^9 shells and as many sleeps, were they not held. */
    struct sandbox_result r = run((struct sandbox_run){ .argv = SH(
        with_nap("f() { if [ $1 -gt 0 ]; then f $(($1-1)) & f $(($1-1)) & fi; sleep NAP; }; f 9")), .limits = &l });
    assert_non_null(strstr(r.process.err.data, "ork"));
    assert_true(r.process.wall_us < 8000000);
    sandbox_result_release(&r);
    assert_int_equal(proctab_count(nap()), 0);
    r = run((struct sandbox_run){ .argv = SH("echo well") });
    assert_string_equal(r.process.out.data, "well\n");
    sandbox_result_release(&r);
}

static void a_kill_for_memory_is_noticed_whatever_the_exit_status(void **state)
{
    (void)state;
    struct sandbox_result r = run((struct sandbox_run){ .argv = SH(
        "head -c 400000000 /dev/zero | tail -c 300000000 > /dev/null; exit 0") });
    if (strstr(sandbox_describe(box), "memory by control group")) {
        assert_true(r.oom_killed);
        assert_true(r.limit_hit);
        assert_string_equal(r.limit_text, "It used more than 128 MiB of memory.");
    } else {
        assert_non_null(strstr(r.process.err.data, "memory exhausted"));
    }
    sandbox_result_release(&r);
    /* The group is used again; its past is not held against the next run. */
    r = run((struct sandbox_run){ .argv = SH("exit 0") });
    assert_false(r.oom_killed);
    sandbox_result_release(&r);
}

static void a_test_that_fills_the_disk_is_ended(void **state)
{
    (void)state;
    struct sandbox_result r = run((struct sandbox_run){ .argv = SH(
        "for i in 1 2 3 4 5 6 7 8; do head -c 10000000 /dev/zero > /work/$i; done; sleep 10") });
    assert_true(r.disk_exceeded);
    assert_true(r.limit_hit);
    assert_string_equal(r.limit_text, "It wrote more than 48 MiB to the disk.");
    assert_true(r.process.wall_us < 10000000);
    sandbox_result_release(&r);
    r = run((struct sandbox_run){ .argv = SH("mkdir /out/d; head -c 40000000 /dev/zero > /out/d/big; ls -l /out/d") });
    assert_non_null(strstr(r.process.out.data, " 33554432 ")); /* file_mib */
    sandbox_result_release(&r);
}

static void a_test_that_makes_files_without_end_is_ended(void **state)
{
    (void)state;
    struct sandbox_limits l = small;
    l.disk_mib = 8; /* 2048 files */
    struct sandbox_result r = run((struct sandbox_run){ .limits = &l, .argv = SH(
        "i=0; while [ $i -lt 100000 ]; do : > /work/$i; i=$((i+1)); done; sleep 10") });
    assert_true(r.limit_hit);
    assert_true(r.disk_exceeded);
    sandbox_result_release(&r);
}

static void what_a_test_leaves_behind_is_ended(void **state)
{
    (void)state;
    struct sandbox_result r = run((struct sandbox_run){ .argv = SH(
        with_nap("setsid sh -c 'setsid sleep NAP & sleep NAP' >/dev/null 2>&1 & sleep NAP & sleep 0.05; exit 0")) });
    assert_int_equal(r.process.end, PROCESS_EXITED);
    assert_int_equal(r.process.status, 0);
    assert_true(r.process.wall_us < 5000000);
    assert_int_equal(proctab_count(nap()), 0); /* at once, not soon */
    sandbox_result_release(&r);
}

static void a_room_is_removed_whatever_was_done_to_it(void **state)
{
    (void)state;
    struct sandbox_room room;
    struct err e;
    check_ok(sandbox_room_make(box, &room, &e), &e);
    struct sandbox_result r = run_in(&room, (struct sandbox_run){ .argv = SH(
        "mkdir -p a/b/c; : > a/b/c/f; ln -s /etc l; ln -s . loop; mkfifo p; chmod 000 a/b; "
        "i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done; chmod 000 /work /out; exit 0") });
    sandbox_result_release(&r);
    sandbox_room_remove(box, &room);
    assert_int_equal(access(room.path, F_OK), -1);
}

struct seen {
    struct str text;
    atomic_bool cancel;
};

static void stop_at_first_line(int stream, const char *bytes, size_t len, void *ctx)
{
    struct seen *s = ctx;
    str_addf(&s->text, "%d:%.*s", stream, (int)len, bytes);
    atomic_store(&s->cancel, true);
}

static void output_is_seen_while_it_runs_and_a_flag_stops_it(void **state)
{
    (void)state;
    struct seen s = { .text = STR_INIT };
    struct sandbox_result r = run((struct sandbox_run){ .argv = SH(with_nap("echo first; sleep NAP")), .cancel = &s.cancel,
                                                        .on_output = stop_at_first_line, .ctx = &s });
    assert_int_equal(r.process.end, PROCESS_CANCELLED);
    assert_string_equal(s.text.data, "1:first\n");
    assert_false(r.limit_hit);
    assert_int_equal(proctab_count(nap()), 0);
    sandbox_result_release(&r);
    str_release(&s.text);
}

/* ---- many at once ---- */

static void *run_several(void *failures)
{
    for (int i = 0; i < 5; i++) {
        struct sandbox_room room;
        struct sandbox_result r;
        struct err e;
        if (sandbox_room_make(box, &room, &e) < 0) {
            ++*(int *)failures;
            continue;
        }
        char text[32];
        snprintf(text, sizeof text, "%u\n", room.slot);
        struct sandbox_run how = { .argv = SH("cat number; cat number > /out/copy; ls /tmp"), .room = &room, .limits = &small };
        if (file_create(room.work_fd, "number", text, strlen(text), 0644, &e) < 0 || sandbox_run(box, &how, &r, &e) < 0) {
            ++*(int *)failures;
        } else {
            *(int *)failures += !streq(r.process.out.data, text) || r.process.status != 0;
            sandbox_result_release(&r);
        }
        sandbox_room_remove(box, &room);
    }
    return NULL;
}

static void threads_run_side_by_side_in_rooms_of_their_own(void **state)
{
    (void)state;
    pthread_t threads[4];
    int failures[4] = { 0 };
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, run_several, &failures[i]);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(failures[i], 0);
    }
}

static void rooms_are_limited_and_uids_distinct(void **state)
{
    (void)state;
    struct sandbox_room *rooms = calloc(SANDBOX_MAX_ROOMS + 1, sizeof *rooms);
    struct err e;
    for (int i = 0; i < SANDBOX_MAX_ROOMS; i++) {
        check_ok(sandbox_room_make(box, &rooms[i], &e), &e);
        for (int k = 0; geteuid() == 0 && k < i; k++)
            assert_int_not_equal(rooms[k].uid, rooms[i].uid);
    }
    check_err(sandbox_room_make(box, &rooms[SANDBOX_MAX_ROOMS], &e), ERR_LIMIT, &e, "256");
    for (int i = 0; i < SANDBOX_MAX_ROOMS; i++)
        sandbox_room_remove(box, &rooms[i]);
    free(rooms);
}

/* ---- Tandem itself is killed ---- */

static int count_entries(const char *path, const char *prefix)
{
    int count = 0;
    DIR *dir = opendir(path);
    for (struct dirent *d; dir && (d = readdir(dir));)
        count += starts_with(d->d_name, prefix);
    if (dir)
        closedir(dir);
    return count;
}

/* In a process of its own: opens a sandbox, says so, and runs `mark` for ever. */
static void launch_for_ever(const char *scratch, const char *mark, int ready)
{
    alarm(60);
    struct err e;
    struct sandbox *s;
    if (sandbox_open(&s, SANDBOX_BWRAP, scratch, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        _exit(1);
    }
    for (int i = 0; i < 1000; i++) {
        struct sandbox_room room;
        struct sandbox_result r;
        const char *const argv[] = { "sh", "-c", "setsid sleep 30 & sleep 0.01; :", mark, NULL };
        if (sandbox_room_make(s, &room, &e) < 0 || (i == 0 && write(ready, "x", 1) != 1)
            || sandbox_run(s, &(struct sandbox_run){ .argv = argv, .room = &room }, &r, &e) < 0)
            _exit(1);
        sandbox_result_release(&r);
        sandbox_room_remove(s, &room);
    }
    _exit(0);
}

static void killed_at_any_instant_nothing_is_left_running(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make();
    assert_int_equal(fchmod(t.fd, 0755), 0);
    char mark[64];
    snprintf(mark, sizeof mark, "tandem-sandboxed-%ld", (long)getpid());
    for (unsigned i = 0; i < 50; i++) {
        int ready[2];
        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid_t pid = fork();
        if (pid == 0)
            launch_for_ever(t.path, mark, ready[1]);
        close(ready[1]);
        char byte;
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        usleep((i * 7919) % 30000); /* from before the spawn until well into the second run */
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    assert_int_equal(proctab_count_left(mark), 0);
    assert_int_equal(proctab_count_left(t.path), 0); /* bwrap names the room in its arguments */
    /* And the next to open cleans up after them, but leaves the living alone. */
    assert_true(count_entries(t.path, "tandem-") > 0);
    struct sandbox *one, *two;
    struct err e;
    check_ok(sandbox_open(&one, SANDBOX_BWRAP, t.path, &e), &e);
    check_ok(sandbox_open(&two, SANDBOX_BWRAP, t.path, &e), &e);
    assert_int_equal(count_entries(t.path, "tandem-"), 2);
    sandbox_free(one);
    assert_int_equal(count_entries(t.path, "tandem-"), 1);
    sandbox_free(two);
    tmpdir_remove(&t);
}

#ifdef TANDEM_FAILPOINTS
static void killed_around_ready_and_go_nothing_is_left_running(void **state)
{
    (void)state;
    static const char *const points[] = { "process.started", "sandbox.ready", "sandbox.go" };
    struct tmpdir t = tmpdir_make();
    assert_int_equal(fchmod(t.fd, 0755), 0);
    char mark[64];
    snprintf(mark, sizeof mark, "tandem-failpoint-%ld", (long)getpid());
    for (size_t i = 0; i < 3; i++) {
        for (int nth = 2; nth < 4; nth++) { /* the first pass is the self-test's */
            int ready[2], status;
            assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
            pid_t pid = fork();
            if (pid == 0) {
                char value[64];
                snprintf(value, sizeof value, "%s:%d", points[i], nth);
                setenv("TANDEM_FAILPOINT", value, 1);
                launch_for_ever(t.path, mark, ready[1]);
            }
            assert_int_equal(waitpid(pid, &status, 0), pid);
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
            close(ready[0]);
            close(ready[1]);
        }
    }
    assert_int_equal(proctab_count_left(mark), 0);
    assert_int_equal(proctab_count_left(t.path), 0);
    struct sandbox *s;
    struct err e;
    check_ok(sandbox_open(&s, SANDBOX_BWRAP, t.path, &e), &e); /* removes their control groups, too */
    sandbox_free(s);
    tmpdir_remove(&t);
}
#endif

/* ---- other circumstances ---- */

/* Runs `body` in a forked process that has given up root; its exit status must be 0. */
static void as_an_ordinary_user(void (*body)(const char *scratch))
{
    struct tmpdir t = tmpdir_make();
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        const uid_t user = 64999;
        if (geteuid() == 0 && (chown(t.path, user, user) != 0 || setgroups(0, NULL) != 0 || setgid(user) != 0 || setuid(user) != 0))
            _exit(98);
        body(t.path);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    tmpdir_remove(&t);
}

static void complain(const char *text)
{
    fprintf(stderr, "# %s\n", text);
    _exit(97);
}

static void self_test_body(const char *scratch)
{
    struct sandbox *s;
    struct err e;
    if (sandbox_open(&s, SANDBOX_BWRAP, scratch, &e) < 0)
        complain(e.text);
    struct tally t = { .text = STR_INIT };
    if (sandbox_self_test(s, count_checks, &t))
        complain(t.text.data);
    sandbox_free(s);
    str_release(&t.text);
}

static void an_ordinary_user_is_protected_too(void **state)
{
    (void)state;
    as_an_ordinary_user(self_test_body);
}

/* No sandbox, yet what the program leaves behind dies, with us too. */
static void no_sandbox_body(const char *scratch)
{
    struct sandbox *s;
    struct err e;
    struct sandbox_room room;
    struct sandbox_result r;
    if (sandbox_open(&s, SANDBOX_NONE, scratch, &e) < 0 || sandbox_room_make(s, &room, &e) < 0)
        complain(e.text);
    STR_LOCAL(script);
    str_addf(&script, "test \"$PWD\" = '%s' && echo x > '%s/result' && setsid sleep %s & sleep 0.1", room.work_seen,
             room.out_seen, nap());
    struct sandbox_run how = { .argv = SH(script.data), .room = &room, .limits = &small };
    if (sandbox_run(s, &how, &r, &e) < 0)
        complain(e.text);
    if (r.process.status != 0 || r.process.err.len || !file_exists(room.out_fd, "result"))
        complain("the program did not run in its room");
    if (proctab_count(nap()))
        complain("a daemon was left behind");
    sandbox_result_release(&r);
    sandbox_room_remove(s, &room);
    sandbox_free(s);
}

static void without_a_sandbox_daemons_are_ended_too(void **state)
{
    (void)state;
    as_an_ordinary_user(no_sandbox_body);
}

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return good;
}

static void forbidden_body(const char *scratch)
{
    uid_t uid = geteuid();
    char map[64];
    snprintf(map, sizeof map, "0 %u 1\n", uid);
    if (unshare(CLONE_NEWUSER) != 0 || !write_file("/proc/self/uid_map", map)
        || !write_file("/proc/sys/user/max_user_namespaces", "0\n"))
        _exit(0); /* cannot be arranged here */
    struct sandbox *s;
    struct err e;
    int code = sandbox_open(&s, SANDBOX_BWRAP, scratch, &e);
    if (code != ERR_UNAVAILABLE || !strstr(e.text, "sysctl -w user.max_user_namespaces"))
        complain(code ? e.text : "it opened");
    if (count_entries(scratch, "tandem-"))
        complain("a failed opening leaves its directory");
}

static void forbidden_user_namespaces_are_named_with_the_remedy(void **state)
{
    (void)state;
    as_an_ordinary_user(forbidden_body);
}

static void a_scratch_directory_out_of_reach_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct tmpdir t = tmpdir_make(); /* 0700 */
    struct sandbox *s;
    struct err e;
    check_err(sandbox_open(&s, SANDBOX_BWRAP, t.path, &e), ERR_UNAVAILABLE, &e, t.path);
    tmpdir_remove(&t);
}

static void the_scratch_directory_is_where_TMPDIR_says(void **state)
{
    (void)state;
    char chosen[200];
    const char *before = getenv("TMPDIR");
    char *kept = before ? strdup(before) : NULL;
    struct tmpdir t = tmpdir_make(); /* 0700: no use as root */
    setenv("TMPDIR", base.path, 1);
    sandbox_scratch_choose(chosen, sizeof chosen);
    assert_string_equal(chosen, base.path);
    setenv("TMPDIR", geteuid() == 0 ? t.path : "/nowhere", 1);
    sandbox_scratch_choose(chosen, sizeof chosen);
    assert_true(streq(chosen, "/dev/shm") || streq(chosen, "/tmp"));
    if (kept)
        setenv("TMPDIR", kept, 1);
    else
        unsetenv("TMPDIR");
    free(kept);
    tmpdir_remove(&t);
}

static int open_box(void **state)
{
    (void)state;
    base = tmpdir_make();
    struct err e;
    if (fchmod(base.fd, 0755) != 0)
        return -1;
    if (sandbox_open(&box, SANDBOX_BWRAP, base.path, &e) < 0) {
        fprintf(stderr, "# %s\n", e.text);
        return -1;
    }
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    sandbox_free(box);
    int left = count_entries(base.path, "tandem-");
    tmpdir_remove(&base);
    return left ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_status_come_back),
        cmocka_unit_test(a_signal_is_told_from_a_status_that_looks_like_it),
        cmocka_unit_test(a_missing_program_is_an_error_that_names_it),
        cmocka_unit_test(work_and_out_go_in_and_come_back),
        cmocka_unit_test(tools_that_link_through_etc_alternatives_work),
        cmocka_unit_test(the_environment_is_ours_and_never_bubblewraps),
        cmocka_unit_test(further_directories_are_mounted_read_only),
        cmocka_unit_test(a_file_out_of_reach_is_handed_over_read_only),
        cmocka_unit_test(a_program_is_spoken_to_and_ends_with_its_input),
        cmocka_unit_test(the_end_of_input_is_never_missed),
        cmocka_unit_test(a_program_that_reads_nothing_and_prints_without_end_holds_nobody_up),
        cmocka_unit_test(output_is_seen_while_it_runs_and_a_flag_stops_it),
        cmocka_unit_test(every_attempt_to_get_out_fails_and_every_limit_holds),
        cmocka_unit_test(the_attempts_succeed_where_there_is_no_sandbox),
        cmocka_unit_test(a_sandbox_that_can_be_had_is_used),
        cmocka_unit_test(the_servers_environment_is_out_of_reach),
        cmocka_unit_test(the_network_is_there_only_when_allowed),
        cmocka_unit_test(no_unix_socket_reaches_the_host_over_its_network),
        cmocka_unit_test(a_test_that_hangs_is_ended),
        cmocka_unit_test(a_test_that_prints_without_end_is_ended),
        cmocka_unit_test(a_test_that_forks_without_end_is_contained),
        cmocka_unit_test(a_kill_for_memory_is_noticed_whatever_the_exit_status),
        cmocka_unit_test(a_test_that_fills_the_disk_is_ended),
        cmocka_unit_test(a_test_that_makes_files_without_end_is_ended),
        cmocka_unit_test(what_a_test_leaves_behind_is_ended),
        cmocka_unit_test(a_room_is_removed_whatever_was_done_to_it),
        cmocka_unit_test(threads_run_side_by_side_in_rooms_of_their_own),
        cmocka_unit_test(rooms_are_limited_and_uids_distinct),
        cmocka_unit_test(killed_at_any_instant_nothing_is_left_running),
#ifdef TANDEM_FAILPOINTS
        cmocka_unit_test(killed_around_ready_and_go_nothing_is_left_running),
#endif
        cmocka_unit_test(an_ordinary_user_is_protected_too),
        cmocka_unit_test(without_a_sandbox_daemons_are_ended_too),
        cmocka_unit_test(forbidden_user_namespaces_are_named_with_the_remedy),
        cmocka_unit_test(a_scratch_directory_out_of_reach_is_refused),
        cmocka_unit_test(the_scratch_directory_is_where_TMPDIR_says),
    };
    return cmocka_run_group_tests(tests, open_box, close_box);
}
