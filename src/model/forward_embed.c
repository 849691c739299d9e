/* forward_embed.c - OpenAI's form of asking for vectors.  Its own client asks for base64 (of
 * 32-bit numbers, little endian), and does not look whether it got it. */
#include "model/forward_chat.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "model/embed.h"

int embed_wish_read(struct arena *a, const json_t *body, struct texts *ret, bool *ret_base64, struct err *e)
{
    struct texts texts = { 0 };
    size_t i;
    const json_t *input = json_object_get(body, "input"), *item;
    if (json_is_string(input))
        texts_add(&texts, a, json_string_value(input));
    json_array_foreach(input, i, item) {
        if (!json_is_string(item))
            return err_set(e, ERR_INVALID, "\"input\" must hold texts; this model takes no tokens");
        texts_add(&texts, a, json_string_value(item));
    }
    if (!texts.count)
        return err_set(e, ERR_INVALID, "\"input\" must be a text or a list of texts");
    *ret = texts;
    *ret_base64 = streq(json_text_of(body, "encoding_format", "float"), "base64");
    return 0;
}

static void add_base64(struct str *out, const unsigned char *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        unsigned group = (unsigned)bytes[i] << 16 | (n > 1 ? (unsigned)bytes[i + 1] << 8 : 0) | (n > 2 ? bytes[i + 2] : 0);
        char four[4] = { digits[group >> 18], digits[group >> 12 & 63], n > 1 ? digits[group >> 6 & 63] : '=', n > 2 ? digits[group & 63] : '=' };
        str_add_bytes(out, four, 4);
    }
}

static void add_vector(struct str *out, const float *values, size_t count, bool base64)
{
    str_add_char(out, base64 ? '"' : '[');
    for (size_t i = 0; !base64 && i < count; i++)
        str_addf(out, "%s%.9g", i ? "," : "", (double)values[i]);
    if (base64) {
        STR_LOCAL(bytes);
        for (size_t i = 0; i < count; i++) {
            uint32_t bits;
            memcpy(&bits, &values[i], sizeof bits);
            for (int shift = 0; shift < 32; shift += 8)
                str_add_char(&bytes, (char)(bits >> shift & 0xFF));
        }
        add_base64(out, (const unsigned char *)bytes.data, bytes.len);
    }
    str_add_char(out, base64 ? '"' : ']');
}

void embed_answer_write(struct str *out, const struct embeddings *v, bool base64)
{
    json_t *model = json_text(v->model, strlen(v->model));
    int64_t tokens = v->prompt_tokens > 0 ? v->prompt_tokens : 0;
    str_add(out, "{\"object\":\"list\",\"model\":");
    json_write(out, model);
    json_decref(model);
    str_add(out, ",\"data\":[");
    for (size_t i = 0; i < v->count; i++) {
        str_addf(out, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "", i);
        add_vector(out, v->values + i * v->dimensions, v->dimensions, base64);
        str_add_char(out, '}');
    }
    str_addf(out, "],\"usage\":{\"prompt_tokens\":%lld,\"total_tokens\":%lld}}", (long long)tokens, (long long)tokens);
}
