/* FFmpeg's libraries, loaded by the media process alone: 130 shared libraries come with them. Included instead of the
 * libav* headers; the functions keep their names. Private to speech/media*. */
#ifndef SPEECH_MEDIA_LIBAV_H
#define SPEECH_MEDIA_LIBAV_H

#include <stdbool.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/dict.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
#include <libswresample/swresample.h>

/* Every function that this folder calls. */
#define LIBAVUTIL_FUNCTIONS(X)                                                                                         \
    X(av_channel_layout_compare)                                                                                       \
    X(av_channel_layout_copy)                                                                                          \
    X(av_channel_layout_default)                                                                                       \
    X(av_channel_layout_uninit)                                                                                        \
    X(av_dict_free)                                                                                                    \
    X(av_dict_set)                                                                                                     \
    X(av_frame_alloc)                                                                                                  \
    X(av_frame_free)                                                                                                   \
    X(av_frame_get_buffer)                                                                                             \
    X(av_frame_make_writable)                                                                                          \
    X(av_frame_unref)                                                                                                  \
    X(av_free)                                                                                                         \
    X(av_log_set_level)                                                                                                \
    X(av_malloc)                                                                                                       \
    X(av_max_alloc)
#define LIBSWRESAMPLE_FUNCTIONS(X)                                                                                     \
    X(swr_alloc_set_opts2)                                                                                             \
    X(swr_convert)                                                                                                     \
    X(swr_free)                                                                                                        \
    X(swr_init)
#define LIBAVCODEC_FUNCTIONS(X)                                                                                        \
    X(av_packet_alloc)                                                                                                 \
    X(av_packet_free)                                                                                                  \
    X(av_packet_rescale_ts)                                                                                            \
    X(av_packet_unref)                                                                                                 \
    X(avcodec_alloc_context3)                                                                                          \
    X(avcodec_find_decoder_by_name)                                                                                    \
    X(avcodec_find_encoder_by_name)                                                                                    \
    X(avcodec_free_context)                                                                                            \
    X(avcodec_open2)                                                                                                   \
    X(avcodec_parameters_from_context)                                                                                 \
    X(avcodec_parameters_to_context)                                                                                   \
    X(avcodec_receive_frame)                                                                                           \
    X(avcodec_receive_packet)                                                                                          \
    X(avcodec_send_frame)                                                                                              \
    X(avcodec_send_packet)
#define LIBAVFORMAT_FUNCTIONS(X)                                                                                       \
    X(av_find_input_format)                                                                                            \
    X(av_read_frame)                                                                                                   \
    X(av_write_frame)                                                                                                  \
    X(av_write_trailer)                                                                                                \
    X(avformat_alloc_context)                                                                                          \
    X(avformat_alloc_output_context2)                                                                                  \
    X(avformat_close_input)                                                                                            \
    X(avformat_free_context)                                                                                           \
    X(avformat_new_stream)                                                                                             \
    X(avformat_open_input)                                                                                             \
    X(avformat_write_header)                                                                                           \
    X(avio_alloc_context)                                                                                              \
    X(avio_context_free)                                                                                               \
    X(avio_flush)
#define LIBAV_FUNCTIONS(X)                                                                                             \
    LIBAVUTIL_FUNCTIONS(X)                                                                                             \
    LIBSWRESAMPLE_FUNCTIONS(X)                                                                                         \
    LIBAVCODEC_FUNCTIONS(X)                                                                                            \
    LIBAVFORMAT_FUNCTIONS(X)

struct libav {
#define X(name) __typeof__(&name) name;
    LIBAV_FUNCTIONS(X)
#undef X
};
extern struct libav libav;

/* Loads them, quiet and with a bound for single allocations; once per process, later calls tell what became of the
 * first. False when one is missing. */
bool libav_load(void);

/* From any layout to mono. NULL when it cannot be done. */
SwrContext *libav_resampler(AVChannelLayout *in_layout, enum AVSampleFormat in_format, unsigned in_rate,
                            enum AVSampleFormat out_format, unsigned out_rate);

#ifndef LIBAV_LOADER
#define av_channel_layout_compare       libav.av_channel_layout_compare
#define av_channel_layout_copy          libav.av_channel_layout_copy
#define av_channel_layout_default       libav.av_channel_layout_default
#define av_channel_layout_uninit        libav.av_channel_layout_uninit
#define av_dict_free                    libav.av_dict_free
#define av_dict_set                     libav.av_dict_set
#define av_frame_alloc                  libav.av_frame_alloc
#define av_frame_free                   libav.av_frame_free
#define av_frame_get_buffer             libav.av_frame_get_buffer
#define av_frame_make_writable          libav.av_frame_make_writable
#define av_frame_unref                  libav.av_frame_unref
#define av_free                         libav.av_free
#define av_malloc                       libav.av_malloc
#define swr_alloc_set_opts2             libav.swr_alloc_set_opts2
#define swr_convert                     libav.swr_convert
#define swr_free                        libav.swr_free
#define swr_init                        libav.swr_init
#define av_packet_alloc                 libav.av_packet_alloc
#define av_packet_free                  libav.av_packet_free
#define av_packet_rescale_ts            libav.av_packet_rescale_ts
#define av_packet_unref                 libav.av_packet_unref
#define avcodec_alloc_context3          libav.avcodec_alloc_context3
#define avcodec_find_decoder_by_name    libav.avcodec_find_decoder_by_name
#define avcodec_find_encoder_by_name    libav.avcodec_find_encoder_by_name
#define avcodec_free_context            libav.avcodec_free_context
#define avcodec_open2                   libav.avcodec_open2
#define avcodec_parameters_from_context libav.avcodec_parameters_from_context
#define avcodec_parameters_to_context   libav.avcodec_parameters_to_context
#define avcodec_receive_frame           libav.avcodec_receive_frame
#define avcodec_receive_packet          libav.avcodec_receive_packet
#define avcodec_send_frame              libav.avcodec_send_frame
#define avcodec_send_packet             libav.avcodec_send_packet
#define av_find_input_format            libav.av_find_input_format
#define av_read_frame                   libav.av_read_frame
#define av_write_frame                  libav.av_write_frame
#define av_write_trailer                libav.av_write_trailer
#define avformat_alloc_context          libav.avformat_alloc_context
#define avformat_alloc_output_context2  libav.avformat_alloc_output_context2
#define avformat_close_input            libav.avformat_close_input
#define avformat_free_context           libav.avformat_free_context
#define avformat_new_stream             libav.avformat_new_stream
#define avformat_open_input             libav.avformat_open_input
#define avformat_write_header           libav.avformat_write_header
#define avio_alloc_context              libav.avio_alloc_context
#define avio_context_free               libav.avio_context_free
#define avio_flush                      libav.avio_flush
#endif

#endif
