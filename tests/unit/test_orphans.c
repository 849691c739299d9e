/* Children that a killed Tandem left: found by their notes and ended, and nobody else is. */
#include "check.h"
#include "scratch.h"

#include "model/orphans.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int set_up(void **state)
{
    static struct scratch s;
    scratch_make(&s);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(*state);
    return 0;
}

/* A process that leads its group and sleeps. */
static pid_t sleeper(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setpgid(0, 0);
        pause();
        _exit(0);
    }
    setpgid(pid, pid);
    return pid;
}

static int how_it_ended(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* Reaps on the side: what is ended here would stay as a zombie, which is still a process. */
static pid_t reaped;
static int reaped_status;
static void reap(int number)
{
    (void)number;
    pid_t pid = waitpid(reaped, &reaped_status, WNOHANG);
    if (pid == reaped)
        reaped = 0;
}

static void one_that_was_left_behind_is_ended_and_its_note_and_socket_removed(void **state)
{
    struct scratch *s = *state;
    struct err e;
    scratch_write(s, "run/m-0-1.sock", "");
    reaped = sleeper();
    signal(SIGCHLD, reap);
    orphan_note(scratch_path(s, "run"), "m-0-1", reaped);
    assert_true(scratch_has(s, "run/m-0-1.child"));
    check_ok(orphans_end(scratch_path(s, "run"), &e), &e);
    signal(SIGCHLD, SIG_DFL);
    assert_int_equal(reaped, 0);
    assert_int_equal(WTERMSIG(reaped_status), SIGKILL);
    assert_false(scratch_has(s, "run/m-0-1.child"));
    assert_false(scratch_has(s, "run/m-0-1.sock"));
}

static void a_process_that_got_its_number_later_is_left_alone(void **state)
{
    struct scratch *s = *state;
    struct err e;
    pid_t other = sleeper();
    char note[40];
    snprintf(note, sizeof note, "%ld 1\n", (long)other);
    scratch_write(s, "run/m-0-1.child", note);
    scratch_write(s, "run/m-0-2.child", "nonsense");
    scratch_write(s, "run/m-0-3.child", "1 1\n");
    check_ok(orphans_end(scratch_path(s, "run"), &e), &e);
    assert_int_equal(kill(other, 0), 0);
    assert_false(scratch_has(s, "run/m-0-1.child"));
    kill(other, SIGTERM);
    assert_int_equal(how_it_ended(other), SIGTERM);
}

static void what_is_forgotten_is_not_looked_for(void **state)
{
    struct scratch *s = *state;
    struct err e;
    pid_t pid = sleeper();
    scratch_write(s, "run/other", "");
    orphan_note(scratch_path(s, "run"), "m-0-1", pid);
    orphan_forget(scratch_path(s, "run"), "m-0-1");
    check_ok(orphans_end(scratch_path(s, "run"), &e), &e);
    assert_int_equal(kill(pid, 0), 0);
    assert_true(scratch_has(s, "run/other"));
    kill(pid, SIGTERM);
    assert_int_equal(how_it_ended(pid), SIGTERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_that_was_left_behind_is_ended_and_its_note_and_socket_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_process_that_got_its_number_later_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_forgotten_is_not_looked_for, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
