/* http/libmicrohttpd.h - libmicrohttpd's functions, loaded on first use.
 *
 * For src/http alone.  Threads: any.
 */
#ifndef TANDEM_HTTP_LIBMICROHTTPD_H
#define TANDEM_HTTP_LIBMICROHTTPD_H

#include <microhttpd.h>
#include <stdbool.h>

struct err;

/* The functions the server calls, under their names without "MHD_". */
struct libmicrohttpd {
    struct MHD_Daemon *(*start_daemon)(unsigned int flags, uint16_t port, MHD_AcceptPolicyCallback allow,
                                       void *allow_ctx, MHD_AccessHandlerCallback handle, void *handle_ctx, ...);
    void (*stop_daemon)(struct MHD_Daemon *daemon);
    enum MHD_Result (*run)(struct MHD_Daemon *daemon);
    enum MHD_Result (*get_timeout)(struct MHD_Daemon *daemon, MHD_UNSIGNED_LONG_LONG *ret_ms);
    const union MHD_DaemonInfo *(*get_daemon_info)(struct MHD_Daemon *daemon, enum MHD_DaemonInfoType type, ...);
    enum MHD_Result (*add_connection)(struct MHD_Daemon *daemon, MHD_socket fd, const struct sockaddr *address,
                                      socklen_t len);
    void (*suspend_connection)(struct MHD_Connection *c);
    void (*resume_connection)(struct MHD_Connection *c);
    int (*get_connection_values_n)(struct MHD_Connection *c, enum MHD_ValueKind kind,
                                   MHD_KeyValueIteratorN iterator, void *ctx);
    const union MHD_ConnectionInfo *(*get_connection_info)(struct MHD_Connection *c,
                                                           enum MHD_ConnectionInfoType type, ...);
    struct MHD_Response *(*create_response_from_buffer)(size_t size, void *bytes, enum MHD_ResponseMemoryMode mode);
    struct MHD_Response *(*create_response_from_callback)(uint64_t size, size_t block_size,
                                                          MHD_ContentReaderCallback read, void *ctx,
                                                          MHD_ContentReaderFreeCallback release);
    enum MHD_Result (*add_response_header)(struct MHD_Response *response, const char *name, const char *value);
    enum MHD_Result (*queue_response)(struct MHD_Connection *c, unsigned int status, struct MHD_Response *response);
    void (*destroy_response)(struct MHD_Response *response);
    const char *(*get_version)(void);

    /* Up to 0.9.76 a head is parsed leniently and in place: see guard.c. */
    bool parses_in_place;
};

/* Loads the library at the first call.  ERR_UNAVAILABLE: it is missing or too old. */
int libmicrohttpd_load(const struct libmicrohttpd **ret, struct err *e);

#endif
