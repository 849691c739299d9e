/* utf8.c - checking, cutting and mending UTF-8.
 *
 * The table of well-formed sequences is table 3-7 of the Unicode Standard.
 */
#include "base/utf8.h"

#include <string.h>

/* Length of the well-formed character at p, or 0. */
static size_t char_len(const unsigned char *p, size_t left)
{
    unsigned char c = p[0];
    if (c < 0x80)
        return 1;
    size_t n = c >= 0xC2 && c <= 0xDF ? 2 : (c & 0xF0) == 0xE0 ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
    if (n == 0 || n > left)
        return 0;
    unsigned char low = 0x80, high = 0xBF;
    if (c == 0xE0) low = 0xA0;
    if (c == 0xED) high = 0x9F;
    if (c == 0xF0) low = 0x90;
    if (c == 0xF4) high = 0x8F;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return n;
}

size_t utf8_decode(const char *text, size_t len, uint32_t *ret)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n = len ? char_len(p, len) : 0;
    if (n == 0)
        return 0;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3Fu);
    *ret = c;
    return n;
}

bool utf8_valid(const char *text, size_t len, size_t *ret_bad_at)
{
    const unsigned char *p = (const unsigned char *)text;
    for (size_t i = 0; i < len;) {
        size_t n = char_len(p + i, len - i);
        if (n == 0) {
            if (ret_bad_at)
                *ret_bad_at = i;
            return false;
        }
        i += n;
    }
    return true;
}

size_t utf8_floor(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    for (size_t back = 1; back <= 4 && back <= len; back++) {
        unsigned char c = p[len - back];
        if ((c & 0xC0) == 0x80)
            continue;
        size_t need = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
        return need > back ? len - back : len;
    }
    return len;
}

const char *utf8_tail(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return text;
    const char *tail = text + len - max, *line = memchr(tail, '\n', max);
    if (line && line + 1 < text + len)
        return line + 1;
    for (size_t i = 0; i < 3 && tail < text + len && ((unsigned char)*tail & 0xC0) == 0x80; i++)
        tail++;
    return tail;
}

size_t utf8_repair(char *out, const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t o = 0;
    for (size_t i = 0; i < len;) {
        size_t n = char_len(p + i, len - i);
        if (n == 0) {
            memcpy(out + o, "\xEF\xBF\xBD", 3);
            o += 3;
            i++;
        } else {
            memcpy(out + o, text + i, n);
            o += n;
            i += n;
        }
    }
    return o;
}
