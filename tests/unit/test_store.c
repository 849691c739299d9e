/* The store on SQLite: the conformance suite, and what can happen to a database file. */
#include "check.h"
#include "store_suite.h"

#include "base/json.h"
#include "store/internal.h"
#include "store/sqlite/sqlite_engine.h"

#include <errno.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- tampering ---- */

static const char *file_of(struct fixture *f, const char *name)
{
    return arena_printf(&f->arena, "%s/%s", f->home, name);
}

/* Closes the home and changes its database as somebody with SQLite at hand could. */
static void tamper(struct fixture *f, const char *sql)
{
    sqlite3 *db;
    char *fault = NULL;
    fixture_close(f);
    assert_int_equal(sqlite3_open(file_of(f, "store.db"), &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &fault) != SQLITE_OK)
        fail_msg("%s: %s", sql, fault);
    assert_true(sqlite3_total_changes(db) > 0 || strstr(sql, "PRAGMA"));
    sqlite3_close(db);
}

static void does_not_open(struct fixture *f, int code, const char *words)
{
    struct store *s = NULL;
    check_err(store_open(&s, f->home, suite_types, 2, &f->err), code, &f->err, words);
    assert_null(s);
}

static void fill(struct fixture *f, int events)
{
    struct batch *b = batch_new();
    json_t *payload = json_keep(&f->arena, json_pack("{s:s}", "why", "because"));
    for (int i = 0; i < events; i++)
        batch_event(b, &(struct event){ .project = "P", .ticket = "T-1", .kind = "step", .payload_json = i % 2 ? payload : NULL });
    batch_insert(b, &item_type, "T-1", &(struct item){ .owner = "ada", .title = "t" });
    check_ok(store_commit(f->store, b, NULL, &f->err), &f->err);
    batch_free(b);
}

static void tampering_with_recent_events_is_seen_at_opening(void **state)
{
    struct fixture *f = *state;
    static const struct { const char *sql, *words; } cases[] = {
        { "UPDATE event SET body = CAST(replace(body, 'step', 'stop') AS BLOB) WHERE seq = 190", "event 190 was altered" },
        { "DELETE FROM event WHERE seq = 180", "event 180 is missing" },
        { "DELETE FROM event WHERE seq BETWEEN 150 AND 152", "events 150 to 152 are missing" },
        { "DELETE FROM event WHERE seq = 200", "event 200 is missing" },
        { "UPDATE event SET kind = 'stop' WHERE seq = 200", "event 200 is listed under another" },
        { "UPDATE event SET seq = 201 WHERE seq = 200", "event 201" },
        { "UPDATE event SET hash = substr(hash, 2) || substr(hash, 1, 1) WHERE seq = 199", "event 199 was altered" },
        { "INSERT INTO event SELECT 201, project, ticket, kind, hash, body FROM event WHERE seq = 200", "event 201 says that it is event 200" },
        { "UPDATE head SET seq = 199", "event 200 was added behind the end" },
        { "UPDATE head SET hash = substr(hash, 2) || substr(hash, 1, 1)", "event 200 is not the one" },
        { "DELETE FROM head", "where the log ends" },
    };
    fill(f, 200);
    fixture_close(f);
    STR_LOCAL(whole);
    check_ok(file_read_path(file_of(f, "store.db"), 1 << 26, &whole, &f->err), &f->err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tamper(f, cases[i].sql);
        does_not_open(f, ERR_CORRUPT, cases[i].words);
        if (!strstr(f->err.text, "restore it from a copy"))
            fail_msg("\"%s\" does not say what to do", f->err.text);
        if (!strstr(suite_faults_beside(f), cases[i].words)) /* verify works where opening does not */
            fail_msg("verify does not say \"%s\" but \"%s\"", cases[i].words, suite_faults_beside(f));
        int home;
        check_ok(dir_open(f->home, false, &home, &f->err), &f->err);
        check_ok(file_write(home, "store.db", whole.data, whole.len, 0600, false, &f->err), &f->err);
        close(home);
    }
    fixture_open(f);
    assert_string_equal(suite_faults(f), "");
}

/* Two sentences at most, so that no tampering hides in a flood. */
static void verify_says(struct fixture *f, const char *sql, const char *words)
{
    tamper(f, sql);
    fixture_open(f); /* opening looks at the last events only */
    const char *faults = suite_faults(f);
    if (!strstr(faults, words))
        fail_msg("%s: verify says \"%s\", not \"%s\"", sql, faults, words);
    const char *first = strchr(faults, '\n');
    const char *second = first ? strchr(first + 1, '\n') : NULL;
    if (second && second[1])
        fail_msg("%s: verify says too much: %s", sql, faults);
}

static void verify_names_whatever_does_not_hold(void **state)
{
    static const struct { const char *sql, *words; } cases[] = {
        { "UPDATE event SET body = CAST(replace(body, 'step', 'stop') AS BLOB) WHERE seq = 17", "event 17 was altered" },
        { "DELETE FROM event WHERE seq = 17", "event 17 is missing" },
        { "DELETE FROM event WHERE seq = 1", "event 1 is missing" },
        { "UPDATE event SET (hash, body) = (SELECT hash, body FROM event WHERE seq = 16) WHERE seq = 17", "event 17 says that it is event 16" },
        { "UPDATE event SET project = 'Q' WHERE seq = 17", "event 17 is listed under another project" },
        { "UPDATE doc_item SET body = CAST(replace(body, 'ada', 'eve') AS BLOB), f_owner = 'eve'", "item T-1 was altered: it is not what event 200 says" },
        { "UPDATE doc_item SET version = 2", "item T-1 has version 2, but event 200 says 1" },
        { "UPDATE doc_item SET f_owner = 'eve'", "item T-1 is found by another owner than it has" },
        { "DELETE FROM doc_item", "item T-1 is missing: event 200 says" },
        { "UPDATE doc_item SET id = 'T-2'", "item T-2 is there, but the log does not say" },
        { "CREATE TABLE doc_ghost (id, version, body); INSERT INTO doc_ghost VALUES ('G', 1, '{}')", "ghost G is there" },
        { "DELETE FROM blob", "event 2: its payload" },
        { "UPDATE blob SET body = NULL, links = 0", "are gone, but the log does not say that they were erased" },
        { "UPDATE blob SET body = CAST(replace(body, 'because', 'whatnot') AS BLOB)", "was altered" },
        { "UPDATE blob SET body = x'00'", "do not add up" },
        { "UPDATE blob SET prefix = n", "do not add up" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *home;
        suite_set_up(&home);
        fill(home, 200);
        fixture_close(home);
        if (strstr(cases[i].sql, "DELETE FROM blob")) { /* the payloads of all: say them all */
            tamper(home, cases[i].sql);
            assert_non_null(strstr(suite_faults_beside(home), cases[i].words));
        } else {
            verify_says(home, cases[i].sql, cases[i].words);
        }
        suite_tear_down(&home);
    }
}

static void altered_bytes_are_never_handed_out(void **state)
{
    struct fixture *f = *state;
    struct digest d = suite_put(f, NULL, "precious", 8);
    const char *bytes;
    size_t len;
    tamper(f, "UPDATE blob SET body = x'7072656369306f75'");
    fixture_open(f);
    check_err(store_blob(f->store, &f->arena, d.hex, &bytes, &len, &f->err), ERR_CORRUPT, &f->err, "altered");
    tamper(f, "INSERT INTO doc_item (id, version, body, f_owner, f_state, f_weight, f_urgent) VALUES ('X', 1, x'7b', '', '', 0, 0)");
    fixture_open(f);
    struct item item;
    check_err(store_get(f->store, &f->arena, &item_type, "X", &item, NULL, &f->err), ERR_INVALID, &f->err, "stored item X");
}

/* ---- damage ---- */

static void damage(struct fixture *f, off_t from, off_t len, bool cut)
{
    char garbage[4096];
    memset(garbage, 0xa5, sizeof garbage);
    int fd = open(file_of(f, "store.db"), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t at = from; at < from + len; at += (off_t)sizeof garbage)
        assert_int_equal(pwrite(fd, garbage, sizeof garbage, at), sizeof garbage);
    if (cut)
        assert_int_equal(ftruncate(fd, from), 0);
    close(fd);
}

static void a_truncated_database_is_told_at_opening(void **state)
{
    struct fixture *f = *state;
    fill(f, 2000);
    fixture_close(f);
    damage(f, 40960, 0, true);
    does_not_open(f, ERR_CORRUPT, "Restore the home from a copy");
    damage(f, 100, 0, true); /* less than a header */
    does_not_open(f, ERR_CORRUPT, "Restore the home from a copy");
    damage(f, 0, 4096, false);
    does_not_open(f, ERR_CORRUPT, "not a database");
}

static void garbage_in_the_middle_is_found_by_verify(void **state)
{
    struct fixture *f = *state;
    fill(f, 5000);
    fixture_close(f);
    damage(f, 60 * 4096, 40 * 4096, false);
    const char *faults = suite_faults_beside(f);
    assert_non_null(strstr(faults, "store.db is damaged"));
    assert_non_null(strstr(faults, "event "));
}

static void other_peoples_and_newer_databases_are_left_alone(void **state)
{
    struct fixture *f = *state;
    struct store *s;
    tamper(f, "PRAGMA user_version = 99");
    does_not_open(f, ERR_INVALID, "newer Tandem (format 99");
    check_err(store_open_reader(&s, f->home, suite_types, 2, &f->err), ERR_INVALID, &f->err, "newer");
    tamper(f, "PRAGMA user_version = 0; PRAGMA application_id = 7");
    does_not_open(f, ERR_INVALID, "not a database of Tandem");
    fixture_close(f);
    assert_int_equal(unlink(file_of(f, "store.db")), 0);
    fixture_open(f);
}

/* ---- a full disk ---- */

static void commit_large(struct fixture *f, size_t len, int code)
{
    struct batch *b = batch_new();
    char *bytes = arena_alloc(&f->arena, len);
    memset(bytes, 'x', len);
    batch_blob(b, bytes, len);
    batch_insert(b, &item_type, "large", &(struct item){ .owner = "ada" });
    if (code)
        check_err(store_commit(f->store, b, NULL, &f->err), code, &f->err, "full");
    else
        check_ok(store_commit(f->store, b, NULL, &f->err), &f->err);
    batch_free(b);
}

static void nothing_was_written_and_all_works_again(struct fixture *f, int64_t events)
{
    struct item item;
    assert_int_equal(store_last_seq(f->store), events);
    check_err(store_get(f->store, &f->arena, &item_type, "large", &item, NULL, &f->err), ERR_NOT_FOUND, &f->err, "large");
    assert_string_equal(suite_faults(f), "");
}

static void a_full_database_writes_nothing_and_works_on(void **state)
{
    struct fixture *f = *state;
    suite_event(f, "one", "");
    sqlite_engine_limit(f->store->db, 20);
    commit_large(f, 1 << 20, ERR_FULL);
    nothing_was_written_and_all_works_again(f, 1);
    suite_event(f, "small ones still fit", "");
    sqlite_engine_limit(f->store->db, -1);
    commit_large(f, 1 << 20, 0);
    fixture_close(f);
    fixture_open(f);
    assert_string_equal(suite_faults(f), "");
}

struct filler {
    pthread_t thread;
    struct store *store;
    bool large;
    int code;
    struct err err;
};

static void *fill_up(void *ctx)
{
    struct filler *w = ctx;
    static char bytes[1 << 20];
    struct batch *b = batch_new();
    for (int i = 0; i < 20 && w->code == 0; i++) {
        if (w->large)
            batch_blob(b, bytes, sizeof bytes);
        batch_event(b, &(struct event){ .kind = w->large ? "large" : "small" });
        w->code = store_commit(w->store, b, NULL, &w->err);
        if (w->large && w->code == ERR_FULL)
            w->code = 0;
        else if (w->large)
            w->code = ERR_FAILED;
    }
    batch_free(b);
    return NULL;
}

static void a_large_batch_that_does_not_fit_fails_no_small_one(void **state)
{
    struct fixture *f = *state;
    struct filler w[8] = { 0 };
    suite_event(f, "one", "");
    sqlite_engine_limit(f->store->db, 100);
    for (int i = 0; i < 8; i++) {
        w[i].store = f->store;
        w[i].large = i % 2;
        assert_int_equal(pthread_create(&w[i].thread, NULL, fill_up, &w[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(w[i].thread, NULL);
        check_ok(w[i].code, &w[i].err);
    }
    assert_int_equal(store_last_seq(f->store), 81);
    assert_string_equal(suite_faults(f), "");
}

static void write_to(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        _exit(77);
    close(fd);
}

/* Root may mount; everybody else in a user namespace of their own, where that is allowed. */
static void get_own_mounts(struct arena *a)
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    if (unshare(CLONE_NEWNS | (uid ? CLONE_NEWUSER : 0)) < 0)
        _exit(77);
    if (uid) {
        write_to("/proc/self/setgroups", "deny");
        write_to("/proc/self/uid_map", arena_printf(a, "%u %u 1", uid, uid));
        write_to("/proc/self/gid_map", arena_printf(a, "%u %u 1", gid, gid));
    }
}

/* In a child with mounts of its own.  Returns false where mounting is not allowed. */
static bool in_own_mounts(void (*body)(struct fixture *f), struct fixture *f)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        get_own_mounts(&f->arena);
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", f->dir.path, "tmpfs", 0, "size=4m") < 0)
            _exit(77);
        f->store = NULL;
        body(f);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("SKIPPED for want of the right to mount\n");
        return false;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

#define must(condition)                                                                          \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, f->err.text);    \
            _exit(1);                                                                            \
        }                                                                                        \
    } while (0)

static void no_fault(const char *text, void *ctx)
{
    fprintf(stderr, "verify: %s\n", text);
    ++*(int *)ctx;
}

static bool holds(struct store *s)
{
    int faults = 0;
    int64_t events;
    struct err e;
    return store_verify(s, no_fault, &faults, &events, &e) == 0 && faults == 0;
}

static int commit_blob(struct fixture *f, size_t len, char fill)
{
    struct batch *b = batch_new();
    char *bytes = arena_alloc(&f->arena, len);
    memset(bytes, fill, len);
    batch_blob(b, bytes, len);
    batch_event(b, &(struct event){ .kind = "filled" });
    int code = store_commit(f->store, b, NULL, &f->err);
    batch_free(b);
    return code;
}

static void use_a_full_disk(struct fixture *f)
{
    must(store_open(&f->store, f->home, suite_types, 2, &f->err) == 0);
    int64_t events = 0;
    for (int round = 0; round < 200; round++) { /* until full, by steps that end everywhere */
        int code = commit_blob(f, 30000 + (size_t)round * 777, (char)round);
        must(code == 0 || code == ERR_FULL);
        events += code == 0;
        must(store_last_seq(f->store) == events);
        if (code == ERR_FULL && round > 150)
            break;
    }
    must(f->err.code == ERR_FULL);
    must(holds(f->store));
    store_free(f->store);
    must(store_open(&f->store, f->home, suite_types, 2, &f->err) == 0 || f->err.code == ERR_FULL);
    must(mount("none", f->dir.path, "tmpfs", MS_REMOUNT, "size=16m") == 0); /* room was made */
    if (!f->store)
        must(store_open(&f->store, f->home, suite_types, 2, &f->err) == 0);
    must(commit_blob(f, 1000000, 'z') == 0);
    must(store_last_seq(f->store) == events + 1);
    must(holds(f->store));
    store_free(f->store);
}

static void a_full_disk_writes_nothing_and_works_on_when_there_is_room(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    if (!in_own_mounts(use_a_full_disk, f))
        skip();
    tmpdir_remove(&f->dir);
    f->dir = tmpdir_make();
    snprintf(f->home, sizeof f->home, "%s/home", f->dir.path);
}

/* ---- a disk that fails ---- */

static atomic_bool sync_fails;

/* In place of the C library's: a disk that reports an error cannot be had otherwise. */
int fdatasync(int fd)
{
    if (atomic_load(&sync_fails)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static void a_failed_sync_stops_all_writing_until_opened_again(void **state)
{
    struct fixture *f = *state;
    struct batch *b = batch_new();
    suite_event(f, "one", "");
    atomic_store(&sync_fails, true);
    batch_event(b, &(struct event){ .kind = "unknown" });
    int code = store_commit(f->store, b, NULL, &f->err);
    atomic_store(&sync_fails, false);
    assert_int_equal(code, ERR_FAILED);
    assert_non_null(strstr(f->err.text, "failed to sync"));
    batch_event(b, &(struct event){ .kind = "refused" });
    check_err(store_commit(f->store, b, NULL, &f->err), ERR_FAILED, &f->err, "failed to sync");
    batch_free(b);
    assert_int_equal(store_last_seq(f->store), 1);
    assert_string_equal(suite_faults(f), "");
    fixture_close(f);
    fixture_open(f);
    int64_t seq = store_last_seq(f->store);
    assert_true(seq == 1 || seq == 2);
    assert_int_equal(suite_event(f, "on", ""), seq + 1);
    assert_string_equal(suite_faults(f), "");
}

/* ---- copies ---- */

/* Copies the database of a home that is being written, as `cp -r` would; its WAL too. */
static void copy_home(struct fixture *f, const char *to)
{
    static const char *const names[] = { "store.db", "store.db-wal" };
    int fd;
    must(dir_open(to, true, &fd, &f->err) == 0);
    for (size_t i = 0; i < 2; i++) {
        STR_LOCAL(bytes);
        must(file_read_path(file_of(f, names[i]), 1 << 26, &bytes, &f->err) == 0);
        must(bytes.len > 0);
        must(file_write(fd, names[i], bytes.data, bytes.len, 0600, false, &f->err) == 0);
    }
    close(fd);
}

static void read_a_read_only_copy(struct fixture *f)
{
    must(store_open(&f->store, f->home, suite_types, 2, &f->err) == 0);
    must(commit_blob(f, 100000, 'a') == 0);
    char copy[400];
    snprintf(copy, sizeof copy, "%s/co%%py#?", f->dir.path);
    copy_home(f, copy);
    must(commit_blob(f, 1000, 'b') == 0);
    store_free(f->store);
    char *last = strrchr(f->home, '/');
    snprintf(last, sizeof f->home - (size_t)(last - f->home), "/closed");
    must(store_open(&f->store, f->home, suite_types, 2, &f->err) == 0);
    must(commit_blob(f, 1000, 'c') == 0);
    store_free(f->store);
    must(mount("none", f->dir.path, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL) == 0);
    const char *homes[] = { copy, f->home }; /* with a WAL, and closed properly */
    for (int i = 0; i < 2; i++) {
        must(store_open_reader(&f->store, homes[i], suite_types, 2, &f->err) == 0);
        must(store_last_seq(f->store) == 1);
        must(holds(f->store));
        store_free(f->store);
    }
}

static void a_copy_on_read_only_media_can_be_verified(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    if (!in_own_mounts(read_a_read_only_copy, f))
        skip();
    tmpdir_remove(&f->dir);
    f->dir = tmpdir_make();
    snprintf(f->home, sizeof f->home, "%s/home", f->dir.path);
}

static void a_copy_of_a_home_at_work_can_be_verified(void **state)
{
    struct fixture *f = *state;
    fill(f, 100);
    struct fixture copy = { 0 };
    snprintf(copy.home, sizeof copy.home, "%s/copy", f->dir.path);
    copy_home(f, copy.home);
    assert_string_equal(suite_faults_beside(&copy), "");
    assert_string_equal(suite_faults(f), "");
    arena_release(&copy.arena);
}

/* ---- files ---- */

static void nobody_else_may_read_the_database(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "store.db", "store.db-wal", "store.db-shm" };
    struct stat st;
    suite_event(f, "one", "");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(stat(file_of(f, names[i]), &st), 0);
        assert_int_equal(st.st_mode & 0077, 0);
    }
}

static bool files_contain(struct fixture *f, const char *words)
{
    static const char *const names[] = { "store.db", "store.db-wal" };
    bool found = false;
    for (size_t i = 0; i < 2; i++) {
        STR_LOCAL(bytes);
        if (file_read_path(file_of(f, names[i]), 1 << 26, &bytes, &f->err) == 0)
            found |= memmem(bytes.data, bytes.len, words, strlen(words)) != NULL;
    }
    return found;
}

static void erased_bytes_are_in_no_file(void **state)
{
    struct fixture *f = *state;
    struct digest d = suite_put(f, NULL, "a most private sentence", 23);
    assert_true(files_contain(f, "most private"));
    check_ok(store_erase_blob(f->store, d.hex, "ada", "asked to", &f->err), &f->err);
    assert_false(files_contain(f, "most private"));
}

int main(void)
{
    static struct suite suite;
    store_suite(&suite, &sqlite_engine);
    const struct CMUnitTest tests[] = {
        IN_A_HOME(tampering_with_recent_events_is_seen_at_opening),
        cmocka_unit_test(verify_names_whatever_does_not_hold),
        IN_A_HOME(altered_bytes_are_never_handed_out),
        IN_A_HOME(a_truncated_database_is_told_at_opening),
        IN_A_HOME(garbage_in_the_middle_is_found_by_verify),
        IN_A_HOME(other_peoples_and_newer_databases_are_left_alone),
        IN_A_HOME(a_full_database_writes_nothing_and_works_on),
        IN_A_HOME(a_large_batch_that_does_not_fit_fails_no_small_one),
        IN_A_HOME(a_full_disk_writes_nothing_and_works_on_when_there_is_room),
        IN_A_HOME(a_failed_sync_stops_all_writing_until_opened_again),
        IN_A_HOME(a_copy_on_read_only_media_can_be_verified),
        IN_A_HOME(a_copy_of_a_home_at_work_can_be_verified),
        IN_A_HOME(nobody_else_may_read_the_database),
        IN_A_HOME(erased_bytes_are_in_no_file),
    };
    SUITE_ADD(&suite, tests);
    return suite_run(&suite);
}
