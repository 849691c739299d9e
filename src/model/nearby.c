/* nearby.c - which model server runs on this machine. */
#include "model/nearby.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "http/client.h"
#include "model/ollama.h"

enum { CONNECT_MS = 300, ANSWER_MS = 1500, MAX_ADDRESSES = 16, MAX_LISTED = 1000 };

static bool is_for_embeddings(const char *id)
{
    return strcasestr(id, "embed") || strcasestr(id, "rerank") || strcasestr(id, "minilm") || strcasestr(id, "bge-");
}

static const char *choose(const json_t *list, const char *member)
{
    const char *best = NULL;
    for (size_t i = 0; i < json_array_size(list) && i < MAX_LISTED; i++) {
        const json_t *entry = json_array_get(list, i);
        const char *id = json_text_of(entry, member, "");
        if (!*id || is_for_embeddings(id) || ollama_is_elsewhere(entry))
            continue;
        if (strcasestr(id, "code"))
            return id;
        best = best ? best : id;
    }
    return best;
}

static bool get_list(struct arena *a, const char *url, const char *list, const char *member, const char **ret_id)
{
    STR_LOCAL(body);
    struct http_result h;
    json_t *value;
    struct http_request q = { .method = "GET", .url = url, .connect_ms = CONNECT_MS, .total_ms = ANSWER_MS };
    if (http_ask(&q, &h, &body, NULL) < 0 || h.status != 200 || json_parse(a, body.data, body.len, &value, NULL) < 0)
        return false;
    *ret_id = choose(json_object_get(value, list), member);
    return *ret_id != NULL;
}

static bool ask(struct arena *a, const char *address, const char **ret)
{
    const char *id;
    bool ollama = starts_with(address, "ollama:");
    if (streq(address, "ollama:"))
        address = arena_printf(a, "ollama:%s", ollama_address(a));
    bool found = ollama ? get_list(a, arena_printf(a, "%s/api/tags", address + strlen("ollama:")), "models", "name", &id)
                        : get_list(a, arena_printf(a, "%s/models", address), "data", "id", &id);
    if (found)
        *ret = arena_printf(a, "%s#%s", address, id);
    return found;
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
