/* Files that are part of the program, as they were when it was built (cmake/embed.cmake). */
#ifndef API_EMBEDDED_H
#define API_EMBEDDED_H

#include "base/str.h"

struct embedded_file {
    const char *name;
    const char *etag; /* of the content, with its quotes */
    struct str content;
};

extern const struct embedded_file voice_files[], avatar_files[]; /* web/voice, web/avatars */
extern const size_t voice_file_count, avatar_file_count;

#endif
