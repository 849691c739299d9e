/* wanted.c - tells a specification's file from an idea.
 *
 * What exists is a file.  Of what does not exist, some looks like one all the same: a single
 * word, what begins like a path, what ends like a text file.  A wrong guess would cost a
 * conversation with a model about "my spec.md", so when in doubt we ask by refusing.
 */
#include "cli/wanted.h"

#include "base/str.h"
#include "os/files.h"
#include "team/spec.h"

#include <errno.h>
#include <sys/stat.h>

static bool ends_like_text(const char *word)
{
    static const char *const endings[] = { ".md", ".markdown", ".txt", ".text", ".rst", ".adoc", ".org", NULL };
    size_t len = strlen(word);
    for (size_t i = 0; endings[i]; i++) {
        size_t n = strlen(endings[i]);
        if (len > n && strcasecmp(word + len - n, endings[i]) == 0)
            return true;
    }
    return false;
}

static bool looks_like_path(const char *word)
{
    if (strchr(word, '\n'))
        return false;
    return *word == '/' || starts_with(word, "./") || starts_with(word, "../") || starts_with(word, "~/") ||
           ends_like_text(word);
}

static int no_file(const char *word, struct err *e)
{
    if (errno != ENOENT)
        return err_set_errno(e, ERR_USAGE, errno, "cannot read %s", word);
    if (!strchr(word, ' '))
        return err_set(e, ERR_USAGE, "there is no file \"%s\"; an idea needs more than one word", word);
    return err_set(e, ERR_USAGE, "there is no file \"%s\"; if it is meant as an idea, end it with a full stop", word);
}

static int read_file(struct invocation *in, const char *path, const char **ret_spec, struct err *e)
{
    STR_LOCAL(text);
    int r = file_read_path(path, (size_t)in->settings.spec_kib * 1024, &text, e);
    if (r == ERR_LIMIT)
        return err_set(e, r, "%s is larger than %lld KiB: split it into several projects, or raise the setting spec_kib", path,
                       (long long)in->settings.spec_kib);
    if (r < 0)
        return r;
    r = spec_read(&in->arena, text.data, text.len, ret_spec, e);
    return r < 0 ? err_prefix(e, "%s", path) : 0;
}

static int read_one(struct invocation *in, const char *word, const char **ret_spec, const char **ret_idea, struct err *e)
{
    struct stat st;
    if (stat(word, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return err_set(e, ERR_USAGE, "%s is a directory; name the file that holds the specification, and the "
                                         "repository to build on with --repo", word);
        return read_file(in, word, ret_spec, e);
    }
    if (looks_like_path(word) || !strpbrk(word, " \n"))
        return no_file(word, e);
    *ret_idea = word;
    return 0;
}

/* Words without quotes: fine for an idea, a mistake when files are among them. */
static int check_words(const struct texts *words, const char *joined, struct err *e)
{
    struct stat st;
    if (stat(joined, &st) == 0)
        return err_set(e, ERR_USAGE, "quote a name with blanks: tandem run \"%s\"", joined);
    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->items[i];
        bool exists = stat(word, &st) == 0 && !S_ISDIR(st.st_mode);
        if (exists && (i == 0 || looks_like_path(word)))
            return err_set(e, ERR_USAGE, "%s is a file, and more words are given: name one specification (of several, each is a "
                                         "project of its own), or put an idea into quotes", word);
        if (!exists && i == 0 && looks_like_path(word))
            return err_set(e, ERR_USAGE, "there is no file \"%s\"; put an idea into quotes", word);
    }
    return 0;
}

int wanted_read(struct invocation *in, const char **ret_spec, const char **ret_idea, struct err *e)
{
    STR_LOCAL(words);
    for (size_t i = 0; i < in->operands.count; i++)
        str_addf(&words, "%s%s", i ? " " : "", in->operands.items[i]);
    str_rtrim(&words);
    if (!words.data[strspn(words.data, " \t\n")])
        return err_set(e, ERR_USAGE, "the idea is empty: say in a sentence what is wanted, or name a file");
    const char *joined = arena_strndup(&in->arena, words.data, words.len);
    if (in->operands.count == 1)
        return read_one(in, in->operands.items[0], ret_spec, ret_idea, e);
    int r = check_words(&in->operands, joined, e);
    if (r == 0)
        *ret_idea = joined;
    return r;
}
