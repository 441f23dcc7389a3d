/* The files of web/voice as they were when the program was built (cmake/embed.cmake). */
#ifndef API_VOICE_FILES_H
#define API_VOICE_FILES_H

#include "base/str.h"

struct voice_file {
    const char *name;
    const char *etag; /* of the content, with its quotes */
    struct str content;
};

extern const struct voice_file voice_files[];
extern const size_t voice_file_count;

#endif
