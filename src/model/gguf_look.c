/* gguf_look.c - what a file is that is no GGUF file.
 *
 * Most of what people hand over instead is one of a few things, each with a next step of its
 * own: the page that asked them to log in, the pointer that git keeps in the place of a large
 * file, the model in its makers' format.
 */
#include "model/gguf_internal.h"

#include "base/str.h"

#include <ctype.h>
#include <strings.h>

#define CONVERT "convert it with llama.cpp's convert_hf_to_gguf.py, or find it as GGUF"
#define UNPACK "unpack it first"
#define MAGIC(text) text, sizeof(text) - 1

struct look {
    int at;           /* in the file; -1: the first word of a text, in any case */
    const char *magic;
    size_t len;
    const char *what; /* "it is ..." */
    const char *next; /* what to do; "": nothing comes to mind */
};

static const struct look looks[] = {
    { -1, MAGIC("<!doctype html"), "a web page", "the page stands where the download should; look at it, perhaps it asks to log in" },
    { -1, MAGIC("<html"), "a web page", "the page stands where the download should; look at it, perhaps it asks to log in" },
    { -1, MAGIC("<?xml"), "an XML document", "perhaps a server's refusal; look at it" },
    { -1, MAGIC("version https://git-lfs"), "a pointer of Git LFS", "fetch what it points to with `git lfs pull`" },
    { -1, MAGIC("{"), "a JSON document", "perhaps a server's refusal, or a file that lies beside the model; look at it" },
    { 8, MAGIC("{\""), "a model in the safetensors format", CONVERT },
    { 0, MAGIC("PK\3\4"), "a zip archive, as PyTorch saves its models", CONVERT },
    { 0, MAGIC("\x80\2"), "a Python pickle, as PyTorch saves its models", CONVERT },
    { 0, MAGIC("\x89HDF"), "an HDF5 file, as Keras saves its models", CONVERT },
    { 0, MAGIC("lmgg"), "a model in a format before GGUF (GGML)", "find it as GGUF; nothing reads the old one any more" },
    { 0, MAGIC("fmgg"), "a model in a format before GGUF (GGMF)", "find it as GGUF; nothing reads the old one any more" },
    { 0, MAGIC("tjgg"), "a model in a format before GGUF (GGJT)", "find it as GGUF; nothing reads the old one any more" },
    { 0, MAGIC("algg"), "an adapter in a format before GGUF (GGLA)", "find it as GGUF; nothing reads the old one any more" },
    { 0, MAGIC("\x1f\x8b"), "compressed (gzip)", UNPACK },
    { 0, MAGIC("\x28\xb5\x2f\xfd"), "compressed (zstd)", UNPACK },
    { 0, MAGIC("\xfd" "7zXZ"), "compressed (xz)", UNPACK },
    { 0, MAGIC("BZh"), "compressed (bzip2)", UNPACK },
    { 0, MAGIC("7z\xbc\xaf"), "an archive (7z)", UNPACK },
    { 0, MAGIC("Rar!"), "an archive (rar)", UNPACK },
    { 257, MAGIC("ustar"), "an archive (tar)", UNPACK },
    { 0, MAGIC("\x7f" "ELF"), "a program; a llamafile holds a GGUF file", "take the GGUF file itself" },
    { 0, MAGIC("MZ"), "a program; a llamafile holds a GGUF file", "take the GGUF file itself" },
    { 0, MAGIC("%PDF"), "a PDF document", "" },
    { 0, MAGIC("\0\0\0\0\0\0\0\0"), "empty in its first bytes, as a download is that was only begun", "download it again" },
};

static bool looks_like(const struct look *l, const unsigned char *head, size_t len)
{
    size_t at = l->at < 0 ? 0 : (size_t)l->at;
    if (l->at < 0) {
        static const char mark[] = "\xEF\xBB\xBF";
        if (len >= 3 && memcmp(head, mark, 3) == 0)
            at = 3;
        while (at < len && isspace(head[at]))
            at++;
    }
    if (len < l->len || at > len - l->len)
        return false;
    return l->at < 0 ? strncasecmp((const char *)head + at, l->magic, l->len) == 0 : memcmp(head + at, l->magic, l->len) == 0;
}

int gguf_refuse(const unsigned char *head, size_t len, int64_t size, struct err *e)
{
    if (size == 0)
        return err_set(e, ERR_INVALID, "is no GGUF model: the file is empty");
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        const struct look *l = &looks[i];
        if (looks_like(l, head, len))
            return err_set(e, ERR_INVALID, "is no GGUF model: it is %s%s%s", l->what, l->next[0] ? "; " : "", l->next);
    }
    STR_LOCAL(hex);
    for (size_t i = 0; i < len && i < 8; i++)
        str_addf(&hex, " %02x", head[i]);
    return err_set(e, ERR_INVALID, "is no GGUF model: it begins with%s instead of \"GGUF\"", hex.data);
}
