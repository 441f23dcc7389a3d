#define LIBAV_LOADER
#include "speech/media_libav.h"

#include "base/macros.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#define ALLOCATION_MAX MIB(64)

struct libav libav;

struct function {
    const char *name;
    size_t at;
};

#define X(name) {#name, offsetof(struct libav, name)},
static const struct function util[] = {LIBAVUTIL_FUNCTIONS(X)};
static const struct function resample[] = {LIBSWRESAMPLE_FUNCTIONS(X)};
static const struct function codec[] = {LIBAVCODEC_FUNCTIONS(X)};
static const struct function format[] = {LIBAVFORMAT_FUNCTIONS(X)};
#undef X

/* The libraries whose headers this was built with: their structs differ between major versions. */
#define SONAME(library, major) library ".so." AV_STRINGIFY(major)
static const struct {
    const char *soname;
    const struct function *functions;
    size_t n;
} libraries[] = {
    {SONAME("libavutil", LIBAVUTIL_VERSION_MAJOR), util, COUNT(util)},
    {SONAME("libswresample", LIBSWRESAMPLE_VERSION_MAJOR), resample, COUNT(resample)},
    {SONAME("libavcodec", LIBAVCODEC_VERSION_MAJOR), codec, COUNT(codec)},
    {SONAME("libavformat", LIBAVFORMAT_VERSION_MAJOR), format, COUNT(format)},
};

static bool load(void)
{
    for (size_t i = 0; i < COUNT(libraries); i++) {
        void *library = dlopen(libraries[i].soname, RTLD_NOW | RTLD_LOCAL);
        if (!library)
            return false;
        for (size_t k = 0; k < libraries[i].n; k++) {
            void *function = dlsym(library, libraries[i].functions[k].name);
            if (!function)
                return false;
            memcpy((char *)&libav + libraries[i].functions[k].at, &function, sizeof function);
        }
    }
    libav.av_log_set_level(AV_LOG_QUIET);
    libav.av_max_alloc(ALLOCATION_MAX);
    return true;
}

bool libav_load(void)
{
    static bool tried, loaded;
    if (!tried)
        loaded = load();
    tried = true;
    return loaded;
}

SwrContext *libav_resampler(AVChannelLayout *in_layout, enum AVSampleFormat in_format, unsigned in_rate,
                            enum AVSampleFormat out_format, unsigned out_rate)
{
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
    SwrContext *swr = NULL;
    if (libav.swr_alloc_set_opts2(&swr, &mono, out_format, (int)out_rate, in_layout, in_format, (int)in_rate, 0, NULL) <
            0 ||
        libav.swr_init(swr) < 0)
        libav.swr_free(&swr);
    return swr;
}
