/* gguf_source.c - the bytes of a model file, one after the other.
 *
 * pread into a small buffer, not mmap: a file that shrinks while it is read (a download that is
 * begun again) would end the process with SIGBUS.  Every length in the file is compared with
 * what is left of it before anything is allocated or skipped.
 */
#include "model/gguf_internal.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int gguf_source_open(struct gguf_source *s, int fd, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot be looked at");
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, "is no regular file; a model is one file");
    s->fd = fd;
    s->size = st.st_size;
    s->at = s->held_at = 0;
    s->held = 0;
    s->e = e;
    return 0;
}

int gguf_damaged(struct gguf_source *s, const char *fmt, ...)
{
    char what[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return err_set(s->e, ERR_CORRUPT, "is damaged: %s (before byte %lld). Download it again and compare its SHA-256",
                   what, (long long)s->at);
}

static int check_room(struct gguf_source *s, uint64_t len)
{
    if (len > (uint64_t)(s->size - s->at))
        return err_set(s->e, ERR_CORRUPT, "is cut off: it ends after %lld bytes, before its list of tensors does. Download it again",
                       (long long)s->size);
    if (len > (uint64_t)(GGUF_MAX_HEADER - s->at))
        return gguf_damaged(s, "what stands before the weights is more than %d MiB", GGUF_MAX_HEADER >> 20);
    return 0;
}

/* Reads on from where `at` is. */
static int fill(struct gguf_source *s)
{
    ssize_t n;
    do
        n = pread(s->fd, s->buffer, sizeof s->buffer, s->at);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_set_errno(s->e, ERR_FAILED, errno, "cannot be read");
    if (n == 0)
        return err_set(s->e, ERR_CORRUPT, "became shorter while it was read; is it still being downloaded?");
    s->held_at = s->at;
    s->held = (size_t)n;
    return 0;
}

int gguf_take(struct gguf_source *s, void *out, size_t len)
{
    int r = check_room(s, len);
    char *to = out;
    while (r == 0 && len > 0) {
        if (s->at < s->held_at || s->at >= s->held_at + (int64_t)s->held) {
            r = fill(s);
            continue;
        }
        size_t from = (size_t)(s->at - s->held_at), part = s->held - from;
        if (part > len)
            part = len;
        memcpy(to, s->buffer + from, part);
        to += part;
        len -= part;
        s->at += (int64_t)part;
    }
    return r;
}

int gguf_skip(struct gguf_source *s, uint64_t len)
{
    int r = check_room(s, len);
    if (r == 0)
        s->at += (int64_t)len;
    return r;
}

int gguf_take_u64(struct gguf_source *s, uint64_t *ret)
{
    unsigned char raw[8];
    int r = gguf_take(s, raw, sizeof raw);
    if (r < 0)
        return r;
    *ret = 0;
    for (int i = 7; i >= 0; i--)
        *ret = *ret << 8 | raw[i];
    return 0;
}

int gguf_take_u32(struct gguf_source *s, uint32_t *ret)
{
    unsigned char raw[4];
    int r = gguf_take(s, raw, sizeof raw);
    if (r == 0)
        *ret = (uint32_t)raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16 | (uint32_t)raw[3] << 24;
    return r;
}

int gguf_take_text(struct gguf_source *s, struct arena *a, size_t max, const char *what, char **ret, size_t *ret_len)
{
    uint64_t len;
    int r = gguf_take_u64(s, &len);
    if (r < 0)
        return r;
    if (len > max)
        return gguf_damaged(s, "%s has %llu bytes, more than %zu", what, (unsigned long long)len, max);
    char *text = arena_alloc(a, (size_t)len + 1);
    r = gguf_take(s, text, (size_t)len);
    if (r < 0)
        return r;
    *ret = text;
    *ret_len = (size_t)len;
    return 0;
}
