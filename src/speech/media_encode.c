/* Encoding inside the worker: PCM to the rate and sample format of the encoder, in its frames, into a container that
 * can be written without looking back. */
#include "speech/media_source.h"

#include "speech/media_libav.h"
#include "speech/speech.h"

#define AVIO_BUFFER KIB(4)
#define PCM_PIECE   4096 /* samples */
#define FRAME_FREE  2048 /* samples per frame where the encoder does not care */
#define RATES_MAX   13
#define WAV_HEADER  44

/* How a format is made. Rates ascend to a 0; without any the wanted rate is taken. */
static const struct recipe {
    const char *encoder, *muxer;
    enum AVSampleFormat sample_format;
    int bit_rate; /* 64 kbit/s of one channel of speech are beyond reproach in each */
    unsigned rates[RATES_MAX];
    const char *options[3][2]; /* of the muxer */
} recipes[SPEECH_FORMATS] = {
    [SPEECH_MP3] = {"libmp3lame",
                    "mp3",
                    AV_SAMPLE_FMT_S16P,
                    64000,
                    {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000},
                    {{"write_xing", "0"}, {"id3v2_version", "0"}}},
    /* A page leaves when the next one is complete: 200 ms at most. */
    [SPEECH_OPUS] = {"libopus",
                     "ogg",
                     AV_SAMPLE_FMT_S16,
                     48000,
                     {8000, 12000, 16000, 24000, 48000},
                     {{"page_duration", "100000"}, {"serial_offset", "1"}}},
    [SPEECH_AAC] = {"aac",
                    "adts",
                    AV_SAMPLE_FMT_FLTP,
                    64000,
                    {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000},
                    {{NULL}}},
    [SPEECH_FLAC] = {"flac", "flac", AV_SAMPLE_FMT_S16, 0, {0}, {{NULL}}},
};

struct encoder {
    const struct media_job *job;
    struct media_source source;
    AVCodecContext *codec;
    AVFormatContext *format;
    AVIOContext *avio;
    AVStream *stream;
    AVFrame *frame;
    AVPacket *packet;
    SwrContext *swr;
    unsigned out_rate;
    int filled;       /* samples in frame */
    int64_t encoded;  /* samples before them */
    uint64_t samples; /* read so far */
    bool gone;
};

/* The lowest rate that keeps everything of the wanted one. */
static unsigned nearest(const unsigned *rates, unsigned wanted)
{
    unsigned rate = wanted;
    for (size_t i = 0; i < RATES_MAX && rates[i]; i++) {
        rate = rates[i];
        if (rate >= wanted)
            break;
    }
    return rate;
}

/* ---- PCM and WAV: nothing to encode ---- */

static void put_le(unsigned char *to, unsigned value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> 8 * i);
}

/* Of a stream whose length is not known when it begins: the sizes are 0xffffffff. */
static int write_wav_header(struct encoder *c)
{
    unsigned char header[WAV_HEADER] = "RIFF\xff\xff\xff\xffWAVEfmt ";
    put_le(header + 16, 16, 4);
    put_le(header + 20, 1, 2); /* PCM */
    put_le(header + 22, 1, 2); /* channels */
    put_le(header + 24, c->out_rate, 4);
    put_le(header + 28, c->out_rate * 2, 4);
    put_le(header + 32, 2, 2);
    put_le(header + 34, 16, 2);
    memcpy(header + 36, "data\xff\xff\xff\xff", 8);
    return c->source.io->write(c->source.io, header, sizeof header);
}

/* ---- what FFmpeg encodes ---- */

#if LIBAVFORMAT_VERSION_MAJOR >= 61
typedef const uint8_t avio_byte;
#else
typedef uint8_t avio_byte;
#endif

static int avio_give(void *arg, avio_byte *bytes, int n)
{
    struct encoder *c = arg;
    if (c->source.io->write(c->source.io, bytes, (size_t)n) < 0) {
        c->gone = true;
        return AVERROR_EXIT;
    }
    return n;
}

static enum media_failure open_encoder(struct encoder *c, const struct recipe *recipe)
{
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
    const AVCodec *codec = avcodec_find_encoder_by_name(recipe->encoder);
    if (!codec)
        return MEDIA_NO_CODEC;
    c->codec = avcodec_alloc_context3(codec);
    if (!c->codec)
        return MEDIA_INTERNAL;
    c->codec->sample_fmt = recipe->sample_format;
    c->codec->sample_rate = (int)c->out_rate;
    c->codec->bit_rate = recipe->bit_rate;
    c->codec->time_base = (AVRational){1, (int)c->out_rate};
    c->codec->thread_count = 1;
    c->codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
    av_channel_layout_copy(&c->codec->ch_layout, &mono);
    return avcodec_open2(c->codec, codec, NULL) < 0 ? MEDIA_INTERNAL : MEDIA_OK;
}

static enum media_failure open_muxer(struct encoder *c, const struct recipe *recipe)
{
    unsigned char *buffer = av_malloc(AVIO_BUFFER);
    c->avio = buffer ? avio_alloc_context(buffer, AVIO_BUFFER, 1, c, NULL, avio_give, NULL) : NULL;
    if (!c->avio) {
        av_free(buffer);
        return MEDIA_INTERNAL;
    }
    if (avformat_alloc_output_context2(&c->format, NULL, recipe->muxer, NULL) < 0)
        return MEDIA_NO_CODEC;
    c->format->pb = c->avio;
    c->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_FLUSH_PACKETS | AVFMT_FLAG_BITEXACT;
    c->format->metadata_header_padding = 0; /* FLAC would begin with 8 KiB of nothing */
    c->stream = avformat_new_stream(c->format, NULL);
    if (!c->stream || avcodec_parameters_from_context(c->stream->codecpar, c->codec) < 0)
        return MEDIA_INTERNAL;
    c->stream->time_base = c->codec->time_base;
    AVDictionary *options = NULL;
    for (size_t i = 0; i < COUNT(recipe->options) && recipe->options[i][0]; i++)
        av_dict_set(&options, recipe->options[i][0], recipe->options[i][1], 0);
    int written = avformat_write_header(c->format, &options);
    av_dict_free(&options);
    return written < 0 ? MEDIA_INTERNAL : MEDIA_OK;
}

static enum media_failure open_frame(struct encoder *c)
{
    c->frame = av_frame_alloc();
    c->packet = av_packet_alloc();
    if (!c->frame || !c->packet)
        return MEDIA_INTERNAL;
    c->frame->nb_samples = c->codec->frame_size ? c->codec->frame_size : FRAME_FREE;
    c->frame->format = c->codec->sample_fmt;
    c->frame->sample_rate = c->codec->sample_rate;
    av_channel_layout_copy(&c->frame->ch_layout, &c->codec->ch_layout);
    return av_frame_get_buffer(c->frame, 0) < 0 ? MEDIA_INTERNAL : MEDIA_OK;
}

/* Encodes one frame, NULL for what waits inside the encoder. */
static enum media_failure encode(struct encoder *c, const AVFrame *frame)
{
    if (avcodec_send_frame(c->codec, frame) < 0)
        return MEDIA_INTERNAL;
    while (avcodec_receive_packet(c->codec, c->packet) == 0) {
        c->packet->stream_index = 0;
        av_packet_rescale_ts(c->packet, c->codec->time_base, c->stream->time_base);
        int written = av_write_frame(c->format, c->packet);
        av_packet_unref(c->packet);
        if (written < 0)
            return MEDIA_INTERNAL;
    }
    return MEDIA_OK;
}

/* Encodes the frame, which may be the last and short. */
static enum media_failure encode_frame(struct encoder *c)
{
    int whole = c->frame->nb_samples;
    c->frame->nb_samples = c->filled;
    c->frame->pts = c->encoded;
    c->encoded += c->filled;
    c->filled = 0;
    enum media_failure failure = encode(c, c->frame);
    c->frame->nb_samples = whole;
    if (failure == MEDIA_OK && av_frame_make_writable(c->frame) < 0) /* the encoder may keep what it got */
        failure = MEDIA_INTERNAL;
    return failure;
}

/* Converts n samples into frames; data NULL: the last ones, that wait inside. */
static enum media_failure fill_frames(struct encoder *c, const uint8_t **data, int n)
{
    enum media_failure failure = MEDIA_OK;
    int room, got;
    do {
        room = c->frame->nb_samples - c->filled;
        uint8_t *to =
            c->frame->data[0] + c->filled * (recipes[c->job->format].sample_format == AV_SAMPLE_FMT_FLTP ? 4 : 2);
        got = swr_convert(c->swr, &to, room, data, n);
        if (got < 0)
            return MEDIA_INTERNAL;
        c->filled += got;
        if (got == room)
            failure = encode_frame(c);
        n = 0;
    } while (failure == MEDIA_OK && got == room);
    return failure;
}

/* As fill_frames, for PCM and WAV. */
static enum media_failure pass(struct encoder *c, const uint8_t **data, int n)
{
    int16_t samples[PCM_PIECE];
    uint8_t *out = (uint8_t *)samples;
    int got;
    do {
        got = swr_convert(c->swr, &out, PCM_PIECE, data, n);
        if (got > 0 && c->source.io->write(c->source.io, samples, (size_t)got * sizeof *samples) < 0)
            return MEDIA_GONE;
        n = 0;
    } while (got == PCM_PIECE);
    return got < 0 ? MEDIA_INTERNAL : MEDIA_OK;
}

static enum media_failure take(struct encoder *c, const uint8_t **data, int n)
{
    c->samples += (unsigned)n;
    if (c->samples > (uint64_t)c->job->max_seconds * c->job->rate)
        return MEDIA_TOO_LONG;
    return c->codec ? fill_frames(c, data, n) : pass(c, data, n);
}

static enum media_failure encode_input(struct encoder *c)
{
    int16_t piece[PCM_PIECE];
    const uint8_t *data = (const uint8_t *)piece;
    enum media_failure failure = MEDIA_OK;
    ssize_t got;
    while (failure == MEDIA_OK && (got = media_source_samples(&c->source, piece, PCM_PIECE)) > 0)
        failure = take(c, &data, (int)got);
    return failure == MEDIA_OK ? take(c, NULL, 0) : failure;
}

static enum media_failure encode_end(struct encoder *c)
{
    enum media_failure failure = c->filled ? encode_frame(c) : MEDIA_OK;
    if (failure == MEDIA_OK)
        failure = encode(c, NULL);
    if (failure == MEDIA_OK && av_write_trailer(c->format) < 0)
        failure = MEDIA_INTERNAL;
    avio_flush(c->avio);
    return failure;
}

static enum media_failure encode_all(struct encoder *c)
{
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
    const struct recipe *recipe = &recipes[c->job->format];
    enum media_failure failure = MEDIA_OK;
    if (recipe->encoder) {
        c->out_rate = nearest(recipe->rates, recipe->rates[0] ? c->job->rate : c->out_rate);
        if ((failure = open_encoder(c, recipe)) != MEDIA_OK || (failure = open_muxer(c, recipe)) != MEDIA_OK ||
            (failure = open_frame(c)) != MEDIA_OK)
            return failure;
    } else if (c->job->format == SPEECH_WAV && write_wav_header(c) < 0) {
        return MEDIA_GONE;
    }
    c->swr = libav_resampler(&mono, AV_SAMPLE_FMT_S16, c->job->rate,
                             recipe->encoder ? recipe->sample_format : AV_SAMPLE_FMT_S16, c->out_rate);
    failure = c->swr ? encode_input(c) : MEDIA_INTERNAL;
    return failure == MEDIA_OK && c->codec ? encode_end(c) : failure;
}

static void encoder_close(struct encoder *c)
{
    swr_free(&c->swr);
    av_frame_free(&c->frame);
    av_packet_free(&c->packet);
    avcodec_free_context(&c->codec);
    avformat_free_context(c->format);
    if (c->avio)
        av_free(c->avio->buffer);
    avio_context_free(&c->avio);
}

enum media_failure media_encode_run(const struct media_job *job, struct media_io *io)
{
    struct encoder c = {.job = job, .out_rate = job->out_rate ? job->out_rate : job->rate};
    media_source_init(&c.source, io);
    enum media_failure failure = encode_all(&c);
    if (c.source.gone || c.gone)
        failure = MEDIA_GONE;
    encoder_close(&c);
    media_source_free(&c.source);
    return failure;
}
