/* fuzz_answer.c - the contract for files, whole or edited, on any bytes. */
#include "base/arena.h"
#include "base/err.h"
#include "base/utf8.h"
#include "model/answer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
    if (!condition)
        abort();
}

/* What answer.h promises of every file that was read. */
static void check(struct arena *a, const struct answer_file *f)
{
    const char *path;
    struct err e;
    must(answer_check_path(a, f->path, strlen(f->path), &path, &e) == 0 && strcmp(path, f->path) == 0);
    must(f->path[0] != '/' && strncmp(f->path, "../", 3) != 0 && !strstr(f->path, "/../") && !strchr(f->path, '\\'));
    must(f->len == 0 || f->bytes[f->len - 1] == '\n');
    must(strlen(f->bytes) == f->len && utf8_valid(f->bytes, f->len, NULL));
    must((!f->deleted && !f->edits.count) || f->len == 0);
    must(!f->deleted || !f->edits.count);
    for (size_t i = 0; i < f->edits.count; i++) {
        const struct edit *edit = &f->edits.items[i];
        must(strlen(edit->search) == edit->search_len && utf8_valid(edit->search, edit->search_len, NULL));
        must(strlen(edit->replace) == edit->replace_len && utf8_valid(edit->replace, edit->replace_len, NULL));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_LOCAL(a);
    struct answer_files files;
    struct err e = { 0 };
    const char *text = (const char *)data;
    int r = answer_read_files(&a, text, size, &files, &e);
    must(r == 0 ? files.count > 0 && files.count <= ANSWER_MAX_FILES : r == ERR_INVALID && e.text[0]);
    for (size_t i = 0; r == 0 && i < files.count; i++)
        check(&a, &files.files[i]);
    must(r < 0 || utf8_valid(files.notes, strlen(files.notes), NULL));
    long at = answer_repetition(text, size);
    must(at >= -1 && at <= (long)size);
    return 0;
}
