/* Shared libraries, loaded when they are first needed. */
#ifndef BASE_LIBRARY_H
#define BASE_LIBRARY_H

#include "base/err.h"

/* One function of a library: its name, and where in a struct its pointer goes. */
struct library_function {
    const char *name;
    size_t at;
};

/* The library, never closed again; NULL with NOT_CONFIGURED and the Debian package that brings it. `folder` NULL: the
 * system looks for it. */
void *library_open(const char *folder, const char *name, const char *package, struct err *e);
/* Fills the pointers of the struct `functions`. -1 with NOT_CONFIGURED. */
int library_resolve(void *library, const char *name, const struct library_function *table, size_t n, void *functions,
                    struct err *e);

#endif
