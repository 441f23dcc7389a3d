#include "base/library.h"

#include "base/log.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

void *library_open(const char *folder, const char *name, const char *package, struct err *e)
{
    char path[1024];
    snprintf(path, sizeof path, "%s%s%s", folder ? folder : "", folder ? "/" : "", name);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        log_warn("speech", "library_missing", F_C("library", path), F_C("error", dlerror()));
        err_set(e, ERR_NOT_CONFIGURED, "%s cannot be loaded (Debian: apt install %s)", name, package);
    }
    return library;
}

int library_resolve(void *library, const char *name, const struct library_function *table, size_t n, void *functions,
                    struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        void *function = dlsym(library, table[i].name);
        if (!function)
            return err_set(e, ERR_NOT_CONFIGURED, "%s has no %s", name, table[i].name);
        memcpy((char *)functions + table[i].at, &function, sizeof function);
    }
    return 0;
}
