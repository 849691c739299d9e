/* web/home_api.h - what the commands of a home ask of its server, on its socket.
 *
 * Only through the Unix socket, which is its owner's alone (permission "home").  Bodies and
 * answers are JSON:
 *
 *     POST /tandem/registry            {"person", "registry": {...}}   entries as in models.yaml
 *     POST /tandem/registry/remove     {"person", "kind", "id"}
 *     POST /tandem/models/{id}/load    waits until it is ready -> {"context", "memory_mib", "load_ms"}
 *     POST /tandem/models/{id}/unload
 *     POST /tandem/exam                {"person", "card"}
 *     POST /tandem/embed               {"name", "texts"} -> {"model", "version", "kept", "before", "vectors"}
 *     GET  /tandem/models              every instance and its slots
 *     POST /tandem/keys                {"person", "key": {...}}        with the key's digest; the key is never sent
 *     POST /tandem/keys/remove         {"person", "id"}
 *
 * Threads: handlers run on the server's workers.
 */
#ifndef TANDEM_WEB_HOME_API_H
#define TANDEM_WEB_HOME_API_H

#include "http/server.h"
#include "model/exam.h"
#include "model/registry.h"
#include "office/office.h"
#include "web/keyring.h"

struct home_api {
    struct office *office;
    struct store *store;
    int64_t vectors_kept; /* setting */
    struct keyring *keys; /* NULL: nobody is asked for one here */
};

/* The table's context is a struct home_api. */
extern const struct http_route home_routes[];
extern const size_t home_route_count;

/* ---- what is sent ---- */
struct home_change {
    const char *person;
    struct registry registry;
};
struct home_removal {
    const char *person;
    int kind; /* enum registry_kind */
    const char *id;
};
struct home_exam {
    const char *person;
    struct exam_card card;
};
struct home_embedding {
    const char *name;
    struct texts texts;
};
struct home_key {
    const char *person;
    struct key_entry key;
};
struct home_key_removal {
    const char *person, *id;
};
extern const struct record home_change_record, home_removal_record, home_exam_record, home_embedding_record, home_key_record,
    home_key_removal_record;

#endif
