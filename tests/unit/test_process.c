/* Children: what they get, how they end, and that none outlives us. */
#include "check.h"
#include "proctab.h"
#include "tmpdir.h"

#include "base/clock.h"
#include "base/str.h"
#include "os/process.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* One test forks while there are threads, which ThreadSanitizer allows only when asked. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

#define SH(script) (const char *const[]){ "sh", "-c", (script), NULL }

static struct process_result run(struct process_options o)
{
    struct process_result r;
    struct err e;
    check_ok(process_run(&o, &r, &e), &e);
    return r;
}

static void output_streams_and_status_come_back(void **state)
{
    (void)state;
    struct process_result r = run((struct process_options){ .argv = SH("echo out; echo err >&2; exit 3") });
    assert_int_equal(r.end, PROCESS_EXITED);
    assert_int_equal(r.status, 3);
    assert_string_equal(r.out.data, "out\n");
    assert_string_equal(r.err.data, "err\n");
    assert_true(r.wall_us > 0);
    assert_true(r.max_rss_kib > 0);
    process_result_release(&r);

    r = run((struct process_options){ .argv = SH("echo out; echo err >&2"), .merge_stderr = true });
    assert_string_equal(r.out.data, "out\nerr\n");
    process_result_release(&r);
}

static void a_signal_is_told_from_an_exit_status(void **state)
{
    (void)state;
    struct process_result r = run((struct process_options){ .argv = SH("kill -SEGV $$") });
    assert_int_equal(r.end, PROCESS_SIGNALLED);
    assert_int_equal(r.status, SIGSEGV);
    char text[100];
    assert_string_equal(process_result_describe(&r, text, sizeof text), "was killed by signal 11 (Segmentation fault)");
    process_result_release(&r);
    r = run((struct process_options){ .argv = SH("exit 139") });
    assert_int_equal(r.end, PROCESS_EXITED);
    assert_int_equal(r.status, 139);
    process_result_release(&r);
}

static void a_missing_program_or_directory_is_named(void **state)
{
    (void)state;
    struct process_result r;
    struct err e;
    struct process_options o = { .argv = (const char *const[]){ "no-such-program", NULL } };
    check_err(process_run(&o, &r, &e), ERR_NOT_FOUND, &e, "no-such-program: no such program in /usr/local/bin");
    o.argv = (const char *const[]){ "bin/true", NULL };
    check_err(process_run(&o, &r, &e), ERR_INVALID, &e, "bin/true");
    o.argv = (const char *const[]){ "/etc/passwd", NULL };
    check_err(process_run(&o, &r, &e), ERR_NOT_FOUND, &e, "/etc/passwd");
    o = (struct process_options){ .argv = SH("true"), .cwd = "/no/such/directory" };
    check_err(process_run(&o, &r, &e), ERR_NOT_FOUND, &e, "/no/such/directory");
}

static void a_missing_interpreter_is_named(void **state)
{
    (void)state;
    struct tmpdir t = tmpdir_make();
    struct err e;
    check_ok(file_create(t.fd, "script", "#!/no/such/shell\n", 17, 0755, &e), &e);
    char path[300];
    snprintf(path, sizeof path, "%s/script", t.path);
    struct process_result r;
    struct process_options o = { .argv = (const char *const[]){ path, NULL } };
    check_err(process_run(&o, &r, &e), ERR_NOT_FOUND, &e, "interpreter");
    tmpdir_remove(&t);
}

static void only_the_given_environment_is_seen(void **state)
{
    (void)state;
    setenv("TANDEM_TEST_SECRET", "s3cret", 1);
    struct process_result r = run((struct process_options){ .argv = (const char *const[]){ "env", NULL } });
    assert_string_equal(r.out.data, "");
    process_result_release(&r);
    r = run((struct process_options){ .argv = (const char *const[]){ "env", NULL },
                                      .env = (const char *const[]){ "A=1", "B=", NULL } });
    assert_string_equal(r.out.data, "A=1\nB=\n");
    process_result_release(&r);
    unsetenv("TANDEM_TEST_SECRET");
}

static void no_descriptor_leaks_into_a_child(void **state)
{
    (void)state;
    int leak = open("/etc/passwd", O_RDONLY); /* on purpose without O_CLOEXEC */
    int kept[2] = { fcntl(leak, F_DUPFD_CLOEXEC, 40), fcntl(leak, F_DUPFD_CLOEXEC, 20) };
    struct process_result r = run((struct process_options){ .argv = SH("cd /proc/self/fd; echo *") });
    assert_string_equal(r.out.data, "0 1 2 3\n"); /* 3 is the shell's own, of that directory */
    process_result_release(&r);
    r = run((struct process_options){ .argv = SH("cd /proc/self/fd; echo *"), .keep_fds = kept, .keep_fd_count = 2 });
    assert_string_equal(r.out.data, "0 1 2 20 3 40\n");
    process_result_release(&r);
    close(leak);
    close(kept[0]);
    close(kept[1]);
}

static void signals_session_and_umask_start_afresh(void **state)
{
    (void)state;
    signal(SIGUSR1, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    mode_t old = umask(077);
    struct process_result r = run((struct process_options){ .argv = SH(
        "grep -E '^Sig(Blk|Ign)' /proc/self/status; umask; cut -d' ' -f5,6 /proc/$$/stat | grep -qx \"$$ $$\" && echo leader") });
    umask(old);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    signal(SIGUSR1, SIG_DFL);
    assert_string_equal(r.out.data, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0022\nleader\n");
    process_result_release(&r);
}

static void large_input_is_fed_while_output_is_taken(void **state)
{
    (void)state;
    size_t len = 5 * 1000 * 1000;
    char *bytes = malloc(len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(i * 7 + i / 1000);
    struct process_result r = run((struct process_options){
        .argv = (const char *const[]){ "cat", NULL }, .input = bytes, .input_len = len });
    assert_int_equal(r.out.len, len);
    assert_memory_equal(r.out.data, bytes, len);
    process_result_release(&r);
    /* A child that does not read is no reason to wait or to die of SIGPIPE. */
    r = run((struct process_options){ .argv = SH("exit 5"), .input = bytes, .input_len = len });
    assert_int_equal(r.status, 5);
    process_result_release(&r);
    r = run((struct process_options){ .argv = (const char *const[]){ "cat", NULL }, .input = "", .input_len = 0 });
    assert_int_equal(r.out.len, 0);
    process_result_release(&r);
    free(bytes);
}

static void a_program_that_hangs_is_ended_at_its_deadline(void **state)
{
    (void)state;
    struct process_result r = run((struct process_options){ .argv = SH("echo begun; sleep 60"), .timeout_ms = 200 });
    assert_int_equal(r.end, PROCESS_TIMED_OUT);
    assert_string_equal(r.out.data, "begun\n");
    assert_true(r.wall_us >= 200000 && r.wall_us < 5000000);
    process_result_release(&r);
}

static void output_without_end_is_cut_at_the_limit(void **state)
{
    (void)state;
    struct process_result r = run((struct process_options){
        .argv = (const char *const[]){ "yes", NULL }, .max_output = 10001, .timeout_ms = 20000 });
    assert_int_equal(r.end, PROCESS_FLOODED);
    assert_int_equal(r.out.len, 10001);
    process_result_release(&r);
    r = run((struct process_options){ .argv = SH("printf 12345"), .max_output = 5 });
    assert_int_equal(r.end, PROCESS_EXITED);
    process_result_release(&r);
}

static void *raise_flag(void *flag)
{
    usleep(100000);
    atomic_store((atomic_bool *)flag, true);
    return NULL;
}

static void a_flag_from_another_thread_cancels(void **state)
{
    (void)state;
    atomic_bool cancel = false;
    pthread_t thread;
    pthread_create(&thread, NULL, raise_flag, &cancel);
    struct process_result r = run((struct process_options){ .argv = SH("sleep 60"), .cancel = &cancel });
    pthread_join(thread, NULL);
    assert_int_equal(r.end, PROCESS_CANCELLED);
    assert_true(r.wall_us < 5000000);
    process_result_release(&r);
}

static void what_a_program_leaves_in_its_group_dies_with_it(void **state)
{
    (void)state;
    STR_LOCAL(mark);
    str_addf(&mark, "60.%ld", (long)getpid());
    STR_LOCAL(script);
    str_addf(&script, "sleep %s & exit 4", mark.data);
    /* The background child holds the output open; the run ends all the same. */
    struct process_result r = run((struct process_options){ .argv = SH(script.data), .timeout_ms = 20000 });
    assert_int_equal(r.end, PROCESS_EXITED);
    assert_int_equal(r.status, 4);
    assert_true(r.wall_us < 10000000);
    assert_int_equal(proctab_count_left(mark.data), 0);
    process_result_release(&r);
}

static void collect(int stream, const char *bytes, size_t len, void *ctx)
{
    struct str *seen = ctx;
    str_addf(seen, "%d:%.*s;", stream, (int)len, bytes);
}

static void output_is_seen_as_it_comes(void **state)
{
    (void)state;
    STR_LOCAL(seen);
    struct process_result r = run((struct process_options){
        .argv = SH("echo a; sleep 0.2; echo b >&2; sleep 0.2; echo c"), .on_output = collect, .ctx = &seen });
    assert_string_equal(seen.data, "1:a\n;2:b\n;1:c\n;");
    assert_string_equal(r.out.data, "a\nc\n");
    process_result_release(&r);
}

/* Root of a user namespace may know no uid but its own. */
static bool has_uid(long long uid)
{
    STR_LOCAL(map);
    long long inside, outside, count;
    struct err e;
    check_ok(file_read_path("/proc/self/uid_map", 1 << 16, &map, &e), &e);
    for (const char *line = map.data; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (sscanf(line, "%lld %lld %lld", &inside, &outside, &count) == 3 && inside <= uid && uid < inside + count)
            return true;
    return false;
}

static void root_can_run_a_child_as_nobody_in_particular(void **state)
{
    (void)state;
    if (geteuid() != 0 || !has_uid(64123))
        skip();
    struct process_result r = run((struct process_options){
        .argv = SH("id -u; id -g; id -G; grep CapEff /proc/self/status; kill -0 $PPID 2>/dev/null || echo powerless"),
        .uid = 64123 });
    assert_string_equal(r.out.data, "64123\n64123\n64123\nCapEff:\t0000000000000000\npowerless\n");
    process_result_release(&r);
    assert_int_equal(geteuid(), 0);
    assert_int_equal(prctl(PR_GET_DUMPABLE), 1); /* what the change of uid did to shared memory is undone */
}

struct crowd {
    int failures;
};

static void *run_many(void *ctx)
{
    struct crowd *c = ctx;
    for (int i = 0; i < 20; i++) {
        struct process_result r;
        struct err e;
        struct process_options o = { .argv = (const char *const[]){ "echo", "x", NULL }, .kind = PROCESS_KIND_GIT };
        if (process_run(&o, &r, &e) < 0) {
            c->failures++;
            continue;
        }
        c->failures += !streq(r.out.data, "x\n");
        process_result_release(&r);
    }
    struct process_times t = process_times_thread();
    c->failures += t.count[PROCESS_KIND_GIT] != 20 || t.wall_us[PROCESS_KIND_GIT] <= 0 || t.count[PROCESS_KIND_OTHER];
    return NULL;
}

static void threads_run_children_side_by_side(void **state)
{
    (void)state;
    int64_t before = process_times_total().count[PROCESS_KIND_GIT];
    struct crowd crowds[4] = { { 0 } };
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, run_many, &crowds[i]);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(crowds[i].failures, 0);
    }
    assert_int_equal(process_times_total().count[PROCESS_KIND_GIT] - before, 80);
}

static void *start_and_end(void *ret)
{
    struct process_options o = { .argv = (const char *const[]){ "cat", NULL } };
    struct err e;
    if (process_start(ret, &o, &e) < 0)
        *(struct process **)ret = NULL;
    return NULL;
}

static void a_child_outlives_the_thread_that_asked_for_it(void **state)
{
    (void)state;
    struct process *p = NULL;
    pthread_t thread;
    pthread_create(&thread, NULL, start_and_end, &p);
    pthread_join(thread, NULL);
    assert_non_null(p);
    usleep(20000);
    struct err e;
    STR_LOCAL(line);
    check_ok(process_write(p, "still here\n", 11, &e), &e);
    check_ok(process_read_line(p, &line, 5000, &e), &e);
    assert_string_equal(line.data, "still here\n");
    process_stop(p);
}

static void a_talk_goes_line_by_line_and_byte_by_byte(void **state)
{
    (void)state;
    struct process_options o = { .argv = (const char *const[]){ "cat", NULL }, .max_output = 3000000 };
    struct process *p;
    struct err e;
    STR_LOCAL(got);
    check_ok(process_start(&p, &o, &e), &e);
    check_ok(process_write(p, "one\ntwo\n\nrest", 13, &e), &e);
    check_ok(process_read_line(p, &got, 5000, &e), &e);
    check_ok(process_read(p, 4, &got, 5000, &e), &e);
    check_ok(process_read_line(p, &got, 5000, &e), &e);
    check_ok(process_read(p, 4, &got, 5000, &e), &e);
    assert_string_equal(got.data, "one\ntwo\n\nrest");
    check_err(process_read_line(p, &got, 50, &e), ERR_TIMEOUT, &e, "cat");
    /* More than the pipes hold, both ways at once. */
    STR_LOCAL(big);
    for (int i = 0; big.len < 2000000; i++)
        str_addf(&big, "%d ", i);
    str_clear(&got);
    check_ok(process_write(p, big.data, big.len, &e), &e);
    check_ok(process_read(p, big.len, &got, 5000, &e), &e);
    assert_string_equal(got.data, big.data);
    check_err(process_read(p, 4000000, &got, 50, &e), ERR_LIMIT, &e, "4000000");
    process_stop(p);
    process_stop(NULL);
}

static void a_talk_that_ends_says_why(void **state)
{
    (void)state;
    struct process_options o = { .argv = SH("echo half; echo 'fatal: no such thing' >&2; exit 1") };
    struct process *p;
    struct err e;
    STR_LOCAL(got);
    check_ok(process_start(&p, &o, &e), &e);
    check_ok(process_read_line(p, &got, 5000, &e), &e);
    check_err(process_read_line(p, &got, 5000, &e), ERR_UNAVAILABLE, &e, "no such thing");
    /* The kernel may close its standard input a moment after its standard output. */
    for (int i = 0; i < 2000 && process_write(p, "x\n", 2, &e) == 0; i++)
        usleep(1000);
    check_err(process_write(p, "x\n", 2, &e), ERR_UNAVAILABLE, &e, "no such thing");
    process_stop(p);
}

static void stopping_does_not_wait_for_a_child_that_will_not_end(void **state)
{
    (void)state;
    struct process_options o = { .argv = SH("trap '' TERM HUP; while :; do sleep 1; done") };
    struct process *p;
    struct err e;
    check_ok(process_start(&p, &o, &e), &e);
    int64_t before = clock_steady_ms();
    process_stop(p);
    assert_true(clock_steady_ms() - before < 8000);
}

static void spawn_for_ever(const char *mark, unsigned seed)
{
    srand(seed);
    alarm(20);
    for (int i = 0; i < 1000; i++) {
        struct process_options o = { .argv = (const char *const[]){ "sh", "-c", "sleep 30; :", mark, NULL },
                                     .timeout_ms = 1 + rand() % 3 };
        struct process_result r;
        struct err e;
        if (process_run(&o, &r, &e) == 0)
            process_result_release(&r);
    }
    _exit(0);
}

static void killed_at_any_instant_we_leave_no_child(void **state)
{
    (void)state;
    char mark[64];
    snprintf(mark, sizeof mark, "tandem-mark-%ld", (long)getpid());
    for (unsigned i = 0; i < 60; i++) {
        pid_t pid = fork();
        if (pid == 0)
            spawn_for_ever(mark, i);
        usleep(500 + (i * 7919) % 12000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    assert_int_equal(proctab_count_left(mark), 0);
    struct process *p; /* and the count would have seen one */
    struct err e;
    struct process_options o = { .argv = (const char *const[]){ "sh", "-c", "cat; :", mark, NULL } };
    check_ok(process_start(&p, &o, &e), &e);
    for (int i = 0; i < 100 && !proctab_count(mark); i++) /* its arguments appear just after it has begun */
        usleep(20000);
    assert_true(proctab_count(mark) > 0);
    process_stop(p);
}

static void a_forked_copy_starts_children_of_its_own(void **state)
{
    (void)state;
    struct process_result r = run((struct process_options){ .argv = SH("true") });
    process_result_release(&r);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(10);
        struct process_options o = { .argv = SH("exit 7") };
        struct err e;
        _exit(process_run(&o, &r, &e) == 0 ? r.status : 99);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

/* The other one's children write into what they share with it while they start. */
static bool starts_many(void)
{
    bool good = true;
    for (int i = 0; i < 300 && good; i++) {
        struct process_options o = { .argv = (const char *const[]){ "true", NULL } };
        struct process_result r;
        struct err e;
        good = process_run(&o, &r, &e) == 0 && r.end == PROCESS_EXITED && r.status == 0;
        if (good)
            process_result_release(&r);
    }
    return good;
}

static void a_forked_copy_and_its_original_do_not_disturb_each_other(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        _exit(starts_many() ? 7 : 99);
    }
    bool good = starts_many();
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(good && WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

enum { AT_ONCE = 8, OWN = 2 }; /* own: the main thread, and the one that starts children */

static void *starts_one(void *barrier)
{
    struct process_options o = { .argv = (const char *const[]){ "true", NULL } };
    struct process_result r;
    struct err e;
    pthread_barrier_wait(barrier);
    bool good = process_run(&o, &r, &e) == 0 && r.end == PROCESS_EXITED && r.status == 0;
    if (good)
        process_result_release(&r);
    return good ? barrier : NULL;
}

static int count_threads(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *d; dir && (d = readdir(dir));)
        count += isdigit((unsigned char)d->d_name[0]) != 0;
    if (dir)
        closedir(dir);
    return count;
}

/* Children share memory with the one thread that starts them: with two of those they would
 * start on each other's stack. */
static void threads_that_start_the_first_children_at_once_share_one_that_does(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(20);
            pthread_t threads[AT_ONCE];
            pthread_barrier_t barrier;
            int before = count_threads();
            void *good = &barrier;
            pthread_barrier_init(&barrier, NULL, AT_ONCE);
            for (int k = 0; k < AT_ONCE; k++)
                pthread_create(&threads[k], NULL, starts_one, &barrier);
            for (int k = 0; k < AT_ONCE; k++) {
                void *its;
                pthread_join(threads[k], &its);
                good = its ? good : NULL;
            }
            _exit(!good ? 99 : count_threads() - before + 1);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), OWN);
    }
}

static void closed_standard_descriptors_do_no_harm(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(10);
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        struct process_options o = { .argv = SH("cat; echo err >&2; exit 7"), .input = "in", .input_len = 2 };
        struct process_result r;
        struct err e;
        bool good = process_run(&o, &r, &e) == 0 && r.status == 7 && streq(r.out.data, "in") && streq(r.err.data, "err\n");
        _exit(good ? 7 : 99);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_standard_descriptors_do_no_harm), /* first: before descriptors are mended */
        cmocka_unit_test(output_streams_and_status_come_back),
        cmocka_unit_test(a_signal_is_told_from_an_exit_status),
        cmocka_unit_test(a_missing_program_or_directory_is_named),
        cmocka_unit_test(a_missing_interpreter_is_named),
        cmocka_unit_test(only_the_given_environment_is_seen),
        cmocka_unit_test(no_descriptor_leaks_into_a_child),
        cmocka_unit_test(signals_session_and_umask_start_afresh),
        cmocka_unit_test(large_input_is_fed_while_output_is_taken),
        cmocka_unit_test(a_program_that_hangs_is_ended_at_its_deadline),
        cmocka_unit_test(output_without_end_is_cut_at_the_limit),
        cmocka_unit_test(a_flag_from_another_thread_cancels),
        cmocka_unit_test(what_a_program_leaves_in_its_group_dies_with_it),
        cmocka_unit_test(output_is_seen_as_it_comes),
        cmocka_unit_test(root_can_run_a_child_as_nobody_in_particular),
        cmocka_unit_test(threads_run_children_side_by_side),
        cmocka_unit_test(a_child_outlives_the_thread_that_asked_for_it),
        cmocka_unit_test(a_talk_goes_line_by_line_and_byte_by_byte),
        cmocka_unit_test(a_talk_that_ends_says_why),
        cmocka_unit_test(stopping_does_not_wait_for_a_child_that_will_not_end),
        cmocka_unit_test(killed_at_any_instant_we_leave_no_child),
        cmocka_unit_test(a_forked_copy_starts_children_of_its_own),
        cmocka_unit_test(threads_that_start_the_first_children_at_once_share_one_that_does),
        cmocka_unit_test(a_forked_copy_and_its_original_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
