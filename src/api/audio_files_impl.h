/* What keeping and serving audio share. Private to both. */
#ifndef API_AUDIO_FILES_IMPL_H
#define API_AUDIO_FILES_IMPL_H

#include "api/audio_files.h"
#include "api/audio_names.h"
#include "loop/task.h"

#include <sys/stat.h>

struct audio_files {
    char *folder;
    uint64_t retention; /* ms, of AUDIO_BRIEF */
    struct loop *loop;
    struct timer timer;
    bool ended;
};

bool audio_is_old(const struct audio_files *files, const struct stat *st);

#endif
