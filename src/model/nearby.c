/* nearby.c - which model server runs on this machine. */
#include "model/nearby.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "http/client.h"

enum { CONNECT_MS = 300, ANSWER_MS = 1500, MAX_ADDRESSES = 16, MAX_LISTED = 1000 };

static bool is_for_embeddings(const char *id)
{
    return strcasestr(id, "embed") || strcasestr(id, "rerank") || strcasestr(id, "minilm") || strcasestr(id, "bge-");
}

static const char *choose(const json_t *list)
{
    const char *best = NULL;
    for (size_t i = 0; i < json_array_size(list) && i < MAX_LISTED; i++) {
        const char *id = json_text_of(json_array_get(list, i), "id", "");
        if (!*id || is_for_embeddings(id))
            continue;
        if (strcasestr(id, "code"))
            return id;
        best = best ? best : id;
    }
    return best;
}

static bool ask(struct arena *a, const char *address, const char **ret)
{
    STR_LOCAL(body);
    struct http_result h;
    json_t *value;
    struct http_request q = { .method = "GET", .url = arena_printf(a, "%s/models", address), .connect_ms = CONNECT_MS,
                              .total_ms = ANSWER_MS };
    if (http_ask(&q, &h, &body, NULL) < 0 || h.status != 200 || json_parse(a, body.data, body.len, &value, NULL) < 0)
        return false;
    const char *id = choose(json_object_get(value, "data"));
    if (id)
        *ret = arena_printf(a, "%s#%s", address, id);
    return id != NULL;
}

bool model_nearby(struct arena *a, const char *addresses, const char **ret)
{
    for (int i = 0; *addresses && i < MAX_ADDRESSES; i++) {
        size_t len = strcspn(addresses, " ");
        if (len && ask(a, arena_strndup(a, addresses, len), ret))
            return true;
        addresses += len;
        addresses += strspn(addresses, " ");
    }
    return false;
}
