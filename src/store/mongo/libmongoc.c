#define LIBMONGOC_LOADER
#include "store/mongo/libmongoc.h"

#include "base/library.h"
#include "base/macros.h"

#include <pthread.h>

#define MONGOC  "libmongoc-1.0.so.0"
#define BSON    "libbson-1.0.so.0"
#define PACKAGE "libmongoc-1.0-0"

struct libmongoc libmongoc;

static const struct library_function bson_functions[] = {
#define X(name) {#name, offsetof(struct libmongoc, fn_##name)},
    LIBBSON_FUNCTIONS(X)
#undef X
};
static const struct library_function mongoc_functions[] = {
#define X(name) {#name, offsetof(struct libmongoc, fn_##name)},
    LIBMONGOC_FUNCTIONS(X)
#undef X
};

int libmongoc_load(struct err *e)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool loaded;
    pthread_mutex_lock(&lock);
    if (!loaded) {
        void *mongoc = library_open(NULL, MONGOC, PACKAGE, e),
             *bson = mongoc ? library_open(NULL, BSON, PACKAGE, e) : NULL;
        if (bson && library_resolve(bson, BSON, bson_functions, COUNT(bson_functions), &libmongoc, e) == 0 &&
            library_resolve(mongoc, MONGOC, mongoc_functions, COUNT(mongoc_functions), &libmongoc, e) == 0) {
            libmongoc.fn_mongoc_init();
            /* It would write to stderr by itself; what matters comes as an error as well. */
            libmongoc.fn_mongoc_log_set_handler(NULL, NULL);
            loaded = true;
        }
    }
    pthread_mutex_unlock(&lock);
    return loaded ? 0 : -1;
}
