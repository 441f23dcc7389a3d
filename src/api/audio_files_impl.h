/* What keeping and serving audio share. Private to both. */
#ifndef API_AUDIO_FILES_IMPL_H
#define API_AUDIO_FILES_IMPL_H

#include "api/audio_files.h"
#include "api/audio_names.h"
#include "loop/task.h"

#include <sys/stat.h>

#define AUDIO_PATH_MAX 4096

struct audio_files {
    char *folder;
    uint64_t retention; /* ms, of AUDIO_BRIEF */
    struct loop *loop;
    struct timer timer;
    bool ended;
};

/* "<folder>/<name><end>"; false when that is too long. */
bool audio_path(const struct audio_files *files, const char *name, const char *end, char path[AUDIO_PATH_MAX]);
bool audio_is_old(const struct audio_files *files, const struct stat *st);

#endif
