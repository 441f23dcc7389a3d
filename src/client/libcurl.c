#define LIBCURL_LOADER
#include "client/libcurl.h"

#include "base/log.h"

#include <dlfcn.h>
#include <string.h>

struct libcurl libcurl;

static const struct {
    const char *name;
    size_t at;
} functions[] = {
#define X(name) {#name, offsetof(struct libcurl, fn_##name)},
    LIBCURL_FUNCTIONS(X)
#undef X
};

static int resolve(void *library, struct err *e)
{
    struct libcurl found;
    for (size_t i = 0; i < COUNT(functions); i++) {
        void *function = dlsym(library, functions[i].name);
        if (!function)
            return err_set(e, ERR_NOT_CONFIGURED, "libcurl.so.4 has no %s", functions[i].name);
        memcpy((char *)&found + functions[i].at, &function, sizeof function);
    }
    libcurl = found;
    return 0;
}

int libcurl_load(struct err *e)
{
    if (libcurl.fn_curl_global_init)
        return 0;
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return err_set(e, ERR_NOT_CONFIGURED, "libcurl.so.4 cannot be loaded (Debian: apt install libcurl4)");
    if (resolve(library, e) < 0)
        return -1;
    if (libcurl.fn_curl_global_init(CURL_GLOBAL_DEFAULT))
        return err_set(e, ERR_NOT_CONFIGURED, "libcurl cannot be initialised");
    return 0;
}
