/* What keeping and serving pictures share. Private to both. */
#ifndef API_PICTURES_IMPL_H
#define API_PICTURES_IMPL_H

#include "api/care_impl.h"

#define PICTURES_AT "/public/avatars/"

struct pictures {
    const char *folder; /* "" or NULL: none is kept */
    uint64_t max;       /* bytes of one */
    const char *const *types;
    size_t ntypes;
};

/* One of those compiled in (web/avatars); NULL: there is none of this name. */
const struct embedded_file *picture_of_ours(struct str name);

#endif
