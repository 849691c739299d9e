/* bench_store.c - what the store adds to SQLite.
 *
 * Homes are made in the current directory, which should lie on the disk that homes will lie
 * on.  The bare counterpart writes the same bytes with the same settings, in turns with ours.
 */
#include "bench.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "os/files.h"
#include "store/event.h"
#include "store/store.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <unistd.h>

enum { COMMITS = 1000, THREADS = 32, GROUPED = 40000, REPLAYED = 1000, REPLAYS = 51, LOG = 100000, OPENINGS = 21 };

static char root[] = "bench-store-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void need(int code, const struct err *e)
{
    if (code == 0)
        return;
    fprintf(stderr, "bench_store: %s\n", e->text);
    exit(1);
}

static double ms_since(int64_t start_us)
{
    return (double)(clock_steady_us() - start_us) / 1000;
}

/* As many types as the product has, about. */
struct sample_doc {
    const char *project, *state;
    int64_t number;
    const char *text;
};
static const struct field sample_fields[] = {
    FIELD(struct sample_doc, project, FIELD_TEXT, .indexed = true),
    FIELD(struct sample_doc, state, FIELD_TEXT, .indexed = true),
    FIELD(struct sample_doc, number, FIELD_INT, .indexed = true),
    FIELD(struct sample_doc, text, FIELD_TEXT, .searched = true),
};
static const struct record sample_record = RECORD("sample", struct sample_doc, sample_fields);
static const struct doc_type samples[] = {
    { "a", &sample_record }, { "b", &sample_record }, { "c", &sample_record }, { "d", &sample_record },
    { "e", &sample_record }, { "f", &sample_record }, { "g", &sample_record }, { "h", &sample_record },
    { "i", &sample_record }, { "j", &sample_record }, { "k", &sample_record }, { "l", &sample_record },
};
enum { TYPES = sizeof samples / sizeof *samples };

static void open_home(struct store **ret)
{
    const struct doc_type *types[TYPES];
    struct err e;
    for (size_t i = 0; i < TYPES; i++)
        types[i] = &samples[i];
    need(store_open(ret, path_of("home"), types, TYPES, &e), &e);
}

/* ---- bare SQLite ---- */

static void bare(sqlite3 *db, int code)
{
    if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW)
        return;
    fprintf(stderr, "bench_store: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static sqlite3 *bare_open(void)
{
    sqlite3 *db;
    bare(NULL, sqlite3_open(path_of("bare.db"), &db));
    bare(db, sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                              "CREATE TABLE event (seq INTEGER PRIMARY KEY, project TEXT NOT NULL, ticket TEXT NOT NULL,"
                              " kind TEXT NOT NULL, hash TEXT NOT NULL, body BLOB NOT NULL) STRICT;"
                              "CREATE INDEX event_project ON event (project);"
                              "CREATE INDEX event_ticket ON event (ticket, project);"
                              "CREATE INDEX event_kind ON event (kind);", NULL, NULL, NULL));
    return db;
}

/* The row that the store would write, committed by itself. */
static void bare_commit(sqlite3_stmt *insert, const struct event *ev, const struct str *body)
{
    sqlite3_bind_text(insert, 1, ev->project, -1, SQLITE_STATIC);
    sqlite3_bind_text(insert, 2, ev->ticket, -1, SQLITE_STATIC);
    sqlite3_bind_text(insert, 3, ev->kind, -1, SQLITE_STATIC);
    sqlite3_bind_text(insert, 4, event_no_hash, -1, SQLITE_STATIC);
    sqlite3_bind_blob64(insert, 5, body->data, body->len, SQLITE_STATIC);
    bare(sqlite3_db_handle(insert), sqlite3_step(insert));
    sqlite3_reset(insert);
}

/* ---- rows ---- */

static const struct event sample = { .project = "units", .ticket = "T-3", .actor = "tester", .on_behalf = "task 17",
                                     .kind = "red.witnessed", .payload = event_no_hash, .prev = event_no_hash };

static void bench_commit(struct store *s)
{
    static double ours[COMMITS], theirs[COMMITS];
    struct err e;
    struct batch *b = batch_new();
    STR_LOCAL(body);
    event_write(&body, &sample, NULL, 0);
    sqlite3 *db = bare_open();
    sqlite3_stmt *insert;
    bare(db, sqlite3_prepare_v2(db, "INSERT INTO event (project, ticket, kind, hash, body) VALUES (?, ?, ?, ?, ?)", -1, &insert, NULL));
    for (int i = 0; i < COMMITS; i++) {
        int64_t start = clock_steady_us();
        batch_event(b, &sample);
        need(store_commit(s, b, NULL, &e), &e);
        ours[i] = ms_since(start);
        start = clock_steady_us();
        bare_commit(insert, &sample, &body);
        theirs[i] = ms_since(start);
    }
    sqlite3_finalize(insert);
    sqlite3_close(db);
    batch_free(b);
    double value = bench_median(ours, COMMITS), without = bench_median(theirs, COMMITS);
    bench_row("store: durable commit of an event", "ms", value, without, "<= 1.3 x bare, or <= 0.1 ms above",
              value <= 1.3 * without || value <= without + 0.1);
}

static void *commit_many(void *ctx)
{
    struct store *s = ctx;
    struct batch *b = batch_new();
    for (int i = 0; i < GROUPED / THREADS; i++) {
        struct err e;
        batch_event(b, &sample);
        need(store_commit(s, b, NULL, &e), &e);
    }
    batch_free(b);
    return NULL;
}

static void bench_grouped(struct store *s)
{
    pthread_t threads[THREADS];
    int64_t start = clock_steady_us();
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, commit_many, s) != 0)
            exit(1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    double rate = GROUPED / (ms_since(start) / 1000);
    bench_row("store: events committed by 32 threads, one each", "1/s", rate, -1, ">= 10000", rate >= 10000);
}

static double bare_replay(sqlite3 *db)
{
    sqlite3_stmt *select;
    size_t bytes = 0;
    int64_t start = clock_steady_us();
    bare(db, sqlite3_prepare_v2(db, "SELECT seq, hash, body FROM event WHERE seq > 0 ORDER BY seq LIMIT 1000", -1, &select, NULL));
    while (sqlite3_step(select) == SQLITE_ROW)
        bytes += (size_t)sqlite3_column_bytes(select, 2);
    sqlite3_finalize(select);
    if (!bytes)
        exit(1);
    return ms_since(start);
}

static void bench_replay(struct store *s)
{
    static double ours[REPLAYS], theirs[REPLAYS];
    sqlite3 *db;
    bare(NULL, sqlite3_open(path_of("home/store.db"), &db));
    for (int i = 0; i < REPLAYS; i++) {
        ARENA_LOCAL(a);
        struct err e;
        struct event *events;
        size_t count;
        int64_t start = clock_steady_us();
        need(store_events(s, &a, 0, NULL, NULL, NULL, REPLAYED, &events, &count, &e), &e);
        ours[i] = ms_since(start);
        if (count != REPLAYED)
            exit(1);
        theirs[i] = bare_replay(db);
    }
    sqlite3_close(db);
    double value = bench_median(ours, REPLAYS);
    bench_row("store: replaying 1,000 events", "ms", value, bench_median(theirs, REPLAYS), "<= 5 ms", value <= 5);
}

static void fill(struct store *s)
{
    struct batch *b = batch_new();
    struct err e;
    while (store_last_seq(s) < LOG) {
        for (int i = 0; i < 5000; i++)
            batch_event(b, &sample);
        need(store_commit(s, b, NULL, &e), &e);
    }
    batch_free(b);
}

static double bare_opening(void)
{
    sqlite3 *db;
    int64_t start = clock_steady_us();
    bare(NULL, sqlite3_open(path_of("home/store.db"), &db));
    bare(db, sqlite3_exec(db, "SELECT max(seq) FROM event", NULL, NULL, NULL));
    sqlite3_close(db);
    return ms_since(start);
}

static void bench_opening(void)
{
    static double ours[OPENINGS], theirs[OPENINGS];
    for (int i = 0; i < OPENINGS; i++) {
        struct store *s;
        int64_t start = clock_steady_us();
        open_home(&s);
        ours[i] = ms_since(start);
        store_free(s);
        theirs[i] = bare_opening();
    }
    double value = bench_median(ours, OPENINGS);
    bench_row("store: opening a home of 100,000 events", "ms", value, bench_median(theirs, OPENINGS), "<= 20 ms", value <= 20);
}

int main(void)
{
    struct store *s;
    struct err e;
    int fd;
    if (!mkdtemp(root))
        return 1;
    open_home(&s);
    bench_commit(s);
    bench_grouped(s);
    bench_replay(s);
    fill(s);
    store_free(s);
    bench_opening();
    need(dir_open(root, false, &fd, &e), &e);
    need(dir_empty(fd, &e), &e);
    close(fd);
    return rmdir(root);
}
