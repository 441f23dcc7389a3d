/* Audio for the tests of the media layer: tones made, encoded, muxed and measured. */
#ifndef TEST_MEDIA_ENV_H
#define TEST_MEDIA_ENV_H

#include "unit/support/unit.h"

#include "base/buf.h"
#include "speech/media_libav.h"
#include "speech/media_source.h"
#include "speech/speech.h"

#include <math.h>

#define TONE_HZ 440.0

/* ---- tones ---- */

static inline void tone(struct buf *out, unsigned rate, double hz, double seconds)
{
    size_t n = (size_t)(rate * seconds);
    for (size_t i = 0; i < n; i++) {
        int16_t sample = (int16_t)(12000 * sin(2 * M_PI * hz * (double)i / rate));
        buf_add(out, &sample, sizeof sample);
    }
}

/* How much of the energy between two times lies at hz: 1 is a pure tone. */
static inline double share_of(struct str pcm, unsigned rate, double hz, double from, double to)
{
    double step = 2 * M_PI * hz / rate, re = 0, im = 0, energy = 0;
    size_t first = (size_t)(from * rate), last = MIN((size_t)(to * rate), pcm.n / 2);
    for (size_t i = first; i < last; i++) {
        int16_t sample;
        memcpy(&sample, pcm.p + 2 * i, sizeof sample);
        re += sample * cos(step * (double)i);
        im += sample * sin(step * (double)i);
        energy += (double)sample * sample;
    }
    return energy > 0 ? 2 * (re * re + im * im) / (energy * (double)(last - first)) : 0;
}

/* The PCM is the tone, and this long: codecs may add `slack` seconds. */
static inline void check_tone(struct str pcm, unsigned rate, double hz, double seconds, double slack, int line)
{
    double length = (double)pcm.n / 2 / rate, share = share_of(pcm, rate, hz, seconds / 4, seconds * 3 / 4);
    if (length < seconds - 0.05 || length > seconds + slack || share < 0.9)
        fail_msg("line %d: %.3f s instead of %.3f, %.2f of it at %.0f Hz", line, length, seconds, share, hz);
}
#define assert_tone(pcm, rate, seconds, slack) check_tone((pcm), (rate), TONE_HZ, (seconds), (slack), __LINE__)

/* ---- conversions in this process ---- */

struct memory_io {
    struct media_io io;
    struct str in;
    size_t slice;      /* of one read at most */
    size_t quit_after; /* bytes of output after which nobody wants more; 0: never */
    size_t used;       /* bytes of the input that were read when the first output came */
    size_t size;
    struct buf out;
};

static inline ssize_t memory_read(struct media_io *io, void *to, size_t n)
{
    struct memory_io *m = container_of(io, struct memory_io, io);
    if (m->quit_after && m->out.len >= m->quit_after)
        return -1;
    n = MIN(MIN(n, m->in.n), m->slice);
    if (n)
        memcpy(to, m->in.p, n);
    m->in = str_from(m->in, n);
    return (ssize_t)n;
}

static inline int memory_write(struct media_io *io, const void *bytes, size_t n)
{
    struct memory_io *m = container_of(io, struct memory_io, io);
    if (m->out.len == 0)
        m->used = m->size - m->in.n;
    buf_add(&m->out, bytes, n);
    return m->quit_after && m->out.len >= m->quit_after ? -1 : 0;
}

static inline struct memory_io memory_io(struct str in, size_t slice)
{
    return (struct memory_io){
        .io = {memory_read, memory_write}, .in = in, .size = in.n, .slice = slice, .out = BUF_INIT(MIB(512))};
}

/* Out comes what was decoded, also when it failed. */
static inline enum media_failure decode_slices(struct str in, unsigned rate, size_t slice, struct buf *out)
{
    struct media_job job = {.kind = MEDIA_DECODE, .rate = rate, .max_seconds = 60};
    struct memory_io m = memory_io(in, slice);
    enum media_failure failure = media_decode_run(&job, &m.io);
    *out = m.out;
    return failure;
}

static inline enum media_failure encode(struct str pcm, unsigned rate, enum speech_format format, unsigned out_rate,
                                        struct buf *out)
{
    struct media_job job = {
        .kind = MEDIA_ENCODE, .rate = rate, .out_rate = out_rate, .format = format, .max_seconds = 60};
    struct memory_io m = memory_io(pcm, 1000);
    enum media_failure failure = media_encode_run(&job, &m.io);
    *out = m.out;
    return failure;
}

/* A tone in a format. */
static inline struct buf encoded_tone(enum speech_format format, unsigned rate, double seconds)
{
    struct buf pcm = BUF_INIT(MIB(64)), out;
    tone(&pcm, rate, TONE_HZ, seconds);
    assert_int_equal(encode(buf_str(&pcm), rate, format, 0, &out), MEDIA_OK);
    buf_free(&pcm);
    return out;
}

/* ---- other containers: the packets of an encoded stream in a muxer of FFmpeg's ---- */

struct remux {
    struct str in;
    struct buf out;
    size_t at; /* where the next byte goes */
};

static inline int remux_read(void *arg, uint8_t *to, int n)
{
    struct remux *r = arg;
    n = (int)MIN((size_t)n, r->in.n);
    if (!n)
        return AVERROR_EOF;
    memcpy(to, r->in.p, (size_t)n);
    r->in = str_from(r->in, (size_t)n);
    return n;
}

static inline int remux_write(void *arg, uint8_t *bytes, int n)
{
    struct remux *r = arg;
    if (r->at + (size_t)n > r->out.len)
        buf_commit(&r->out, (assert_non_null(buf_reserve(&r->out, r->at + (size_t)n - r->out.len)),
                             r->at + (size_t)n - r->out.len));
    memcpy(r->out.data + r->out.head + r->at, bytes, (size_t)n);
    r->at += (size_t)n;
    return n;
}

static inline int64_t remux_seek(void *arg, int64_t to, int whence)
{
    struct remux *r = arg;
    if (whence & AVSEEK_SIZE)
        return (int64_t)r->out.len;
    r->at = (size_t)(whence == SEEK_CUR ? (int64_t)r->at + to : whence == SEEK_END ? (int64_t)r->out.len + to : to);
    return (int64_t)r->at;
}

static inline AVIOContext *remux_avio(struct remux *r, bool writes, bool seeks)
{
    AVIOContext *avio = avio_alloc_context(av_malloc(4096), 4096, writes, r, writes ? NULL : remux_read,
                                           writes ? remux_write : NULL, seeks ? remux_seek : NULL);
    assert_non_null(avio);
    return avio;
}

static inline void remux_avio_free(AVIOContext *avio)
{
    av_free(avio->buffer);
    avio_context_free(&avio);
}

/* 48 kHz, one channel. */
static inline void describe_aac(AVCodecContext *codec)
{
    codec->sample_rate = 48000;
    codec->frame_size = 1024;
    av_channel_layout_default(&codec->ch_layout, 1);
    codec->extradata_size = 2;
    codec->extradata = av_malloc(2 + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy(codec->extradata, "\x11\x88", 3);
}

#define ADTS_HEADER 7

static inline void copy_packets(AVFormatContext *from, AVFormatContext *to)
{
    AVPacket *packet = av_packet_alloc();
    while (av_read_frame(from, packet) >= 0) {
        if (to->streams[0]->codecpar->codec_id == AV_CODEC_ID_AAC) {
            packet->data += ADTS_HEADER;
            packet->size -= ADTS_HEADER;
        }
        av_packet_rescale_ts(packet, from->streams[0]->time_base, to->streams[0]->time_base);
        assert_true(av_write_frame(to, packet) >= 0);
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
}

/* `options`: name and value alternating, NULL at the end. seeks: the muxer may look back. */
static inline struct buf remux(struct str in, const char *demuxer, const char *muxer, bool seeks, const char **options)
{
    struct remux r = {.in = in, .out = BUF_INIT(MIB(64))};
    AVFormatContext *from = avformat_alloc_context(), *to = NULL;
    AVIOContext *input = remux_avio(&r, false, false), *output = remux_avio(&r, true, seeks);
    AVDictionary *dictionary = NULL;
    from->pb = input;
    assert_true(avformat_open_input(&from, "", av_find_input_format(demuxer), NULL) >= 0);
    assert_true(avformat_alloc_output_context2(&to, NULL, muxer, NULL) >= 0);
    AVStream *stream = avformat_new_stream(to, NULL);
    AVCodecContext *codec = avcodec_alloc_context3(NULL);
    assert_true(avcodec_parameters_to_context(codec, from->streams[0]->codecpar) >= 0);
    codec->codec_tag = 0;
    if (codec->codec_id == AV_CODEC_ID_AAC) /* ADTS says it in every packet */
        describe_aac(codec);
    assert_true(avcodec_parameters_from_context(stream->codecpar, codec) >= 0);
    avcodec_free_context(&codec);
    stream->time_base = from->streams[0]->time_base;
    to->pb = output;
    for (; options && options[0]; options += 2)
        av_dict_set(&dictionary, options[0], options[1], 0);
    assert_true(avformat_write_header(to, &dictionary) >= 0);
    assert_null(dictionary); /* all of them are known */
    copy_packets(from, to);
    assert_true(av_write_trailer(to) >= 0);
    avio_flush(output);
    avformat_close_input(&from);
    avformat_free_context(to);
    remux_avio_free(input);
    remux_avio_free(output);
    return r.out;
}

/* As a browser records: written as it is heard, a cluster every 100 ms, of unknown size. */
static inline struct buf webm_tone(unsigned rate, double seconds)
{
    const char *options[] = {"live", "1", "cluster_time_limit", "100", NULL};
    struct buf ogg = encoded_tone(SPEECH_OPUS, rate, seconds);
    struct buf webm = remux(buf_str(&ogg), "ogg", "webm", false, options);
    buf_free(&ogg);
    return webm;
}

#endif
