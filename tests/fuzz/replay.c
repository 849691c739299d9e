/* replay.c - gives a fuzz target every file of its corpus, without libFuzzer.
 *
 * usage: replay_NAME CORPUS.  Prints TAP: one case for each file, in order of their names.
 */
#include <dirent.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Whether the file could be read. */
static int try_file(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return 0;
    static uint8_t bytes[1 << 20];
    size_t len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    /* A copy of exactly that size: sanitizers see one byte too far. */
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy)
        return 0;
    memcpy(copy, bytes, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
    return 1;
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    int count = argc == 2 ? scandir(argv[1], &entries, is_file, alphasort) : -1;
    if (count <= 0) {
        fprintf(stderr, "no corpus\n");
        return 1;
    }
    int failed = 0;
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        int good = try_file(argv[1], entries[i]->d_name);
        printf("%sok %d - %s\n", good ? "" : "not ", i + 1, entries[i]->d_name);
        fflush(stdout);
        failed += !good;
        free(entries[i]);
    }
    free(entries);
    return failed != 0;
}
