/* GET /socket.io/socket.io.js and its kin: the official client, from the folder SOCKETIO_CLIENT or, unless set, from
 * where `make install` puts it. Each file is read when it is first asked for. */
#include "api/api_impl.h"

#include "base/mem.h"
#include "loop/task.h"
#include "server/static_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define INSTALLED "/../share/parley/socket.io-client"

static const char *const names[] = {
    "socket.io.js",         "socket.io.js.map",         "socket.io.min.js",         "socket.io.min.js.map",
    "socket.io.esm.min.js", "socket.io.esm.min.js.map", "socket.io.msgpack.min.js", "socket.io.msgpack.min.js.map",
};

struct client_bundle {
    const char *folder;
    _Atomic(struct static_file *) files[COUNT(names)];
};

struct client_bundle *client_bundle_new(const char *folder)
{
    struct client_bundle *bundle = mem_zalloc(sizeof *bundle);
    bundle->folder = folder && folder[0] ? folder : NULL;
    return bundle;
}

struct client_bundle *client_bundle_free(struct client_bundle *bundle)
{
    for (size_t i = 0; bundle && i < COUNT(names); i++)
        static_file_free(atomic_load_explicit(&bundle->files[i], memory_order_relaxed));
    free(bundle);
    return NULL;
}

struct reading {
    const char *folder, *name;
    struct static_file *file;
    struct err e;
};

/* The folder of the running program, "" when the system does not tell. */
static void program_folder(char *out, size_t cap)
{
    ssize_t n = readlink("/proc/self/exe", out, cap - 1);
    out[n > 0 ? n : 0] = 0;
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = 0;
}

static void read_file(void *arg)
{
    struct reading *reading = arg;
    char folder[2048] = "", path[4096];
    if (reading->folder)
        snprintf(path, sizeof path, "%s/%s", reading->folder, reading->name);
    else {
        program_folder(folder, sizeof folder);
        snprintf(path, sizeof path, "%s" INSTALLED "/%s", folder, reading->name);
    }
    reading->file = static_file_read(path, &reading->e);
}

/* Two requests may read it at once: the second copy is thrown away. */
static struct static_file *keep(_Atomic(struct static_file *) *slot, struct static_file *file)
{
    struct static_file *kept = NULL;
    if (atomic_compare_exchange_strong_explicit(slot, &kept, file, memory_order_acq_rel, memory_order_acquire))
        return file;
    static_file_free(file);
    return kept;
}

static void reply_missing(struct http_request *rq, const struct err *e)
{
    if (e->code == ERR_NOT_FOUND)
        http_reply_text(rq, 404,
                        STR("The Socket.IO client is not installed: set SOCKETIO_CLIENT to the folder with its bundles "
                            "(socket.io-client's dist)."));
    else
        http_reply_error(rq, e);
}

static size_t index_of(const struct http_request *rq)
{
    size_t i = 0;
    while (i < COUNT(names) - 1 && !str_ends(str_c(rq->route->path), arena_printf(rq->arena, "/%s", names[i])))
        i++;
    return i;
}

static void get_bundle(struct http_request *rq)
{
    struct client_bundle *bundle = api_of(rq)->bundle;
    size_t i = index_of(rq);
    struct static_file *file = atomic_load_explicit(&bundle->files[i], memory_order_acquire);
    if (!file) {
        struct reading reading = {.folder = bundle->folder, .name = names[i]};
        if (pool_call(read_file, &reading, &reading.e) < 0 || !reading.file) {
            reply_missing(rq, &reading.e);
            return;
        }
        file = keep(&bundle->files[i], reading.file);
    }
    bool map = str_ends(str_c(names[i]), STR(".map"));
    static_file_reply(rq, file,
                      map ? STR("application/json; charset=utf-8") : STR("application/javascript; charset=utf-8"));
}

#define BUNDLE(name, says)                                                                                             \
    {                                                                                                                  \
        HTTP_GET, "/socket.io/" name, get_bundle, NULL, 0, NULL, says                                                  \
    }
static const struct http_route routes[] = {
    BUNDLE("socket.io.js", "Socket.IO's client"),
    BUNDLE("socket.io.js.map", "Its source map"),
    BUNDLE("socket.io.min.js", "Socket.IO's client, minified"),
    BUNDLE("socket.io.min.js.map", "Its source map"),
    BUNDLE("socket.io.esm.min.js", "Socket.IO's client as a module"),
    BUNDLE("socket.io.esm.min.js.map", "Its source map"),
    BUNDLE("socket.io.msgpack.min.js", "Socket.IO's client with the MessagePack parser"),
    BUNDLE("socket.io.msgpack.min.js.map", "Its source map"),
};

const struct door door_client_bundle = {routes, COUNT(routes), NULL};
