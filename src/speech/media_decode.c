/* Decoding inside the worker: a container by its demuxer, its first track by one of a few decoders, every frame to mono
 * PCM of the wanted rate. Nothing is probed by FFmpeg: media_sniff names the demuxer, the headers name the decoder. */
#include "speech/media_source.h"

#include "speech/media_libav.h"

#define AVIO_BUFFER     KIB(64) /* demuxers look back in it after damage; FFmpeg keeps what was read in half of it */
#define LATE_INDEX_MAX  MIB(25)
#define STREAMS_MAX     16
#define CHANNELS_MAX    8
#define RATE_MIN        4000
#define RATE_MAX        384000
#define OUT_SAMPLES     4096 /* at once */
#define PCM_PIECE       4096 /* samples */
#define DECODERS_PER_ID 2
#define WAV_PIECE       KIB(8)

struct decoder {
    const struct media_job *job;
    struct media_source source;
    AVFormatContext *format;
    AVIOContext *avio;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    SwrContext *swr;
    AVChannelLayout layout; /* what swr was made for */
    enum AVSampleFormat sample_format;
    unsigned sample_rate;
    int stream;
    uint64_t samples; /* written so far */
    bool packets;     /* there were some */
    bool frames;      /* there were some */
};

static const char *const demuxers[] = {
    [CONTAINER_MATROSKA] = "matroska", [CONTAINER_OGG] = "ogg", [CONTAINER_MP4] = "mov", [CONTAINER_MP4_LATE] = "mov",
    [CONTAINER_FLAC] = "flac",         [CONTAINER_MP3] = "mp3", [CONTAINER_AAC] = "aac",
};

/* All that is decoded; the first that FFmpeg was built with. */
static const struct {
    enum AVCodecID id;
    const char *names[DECODERS_PER_ID];
} decoders[] = {
    {AV_CODEC_ID_OPUS, {"libopus", "opus"}}, /* the reference decoder has seen more fuzzing than any */
    {AV_CODEC_ID_VORBIS, {"vorbis"}},
    {AV_CODEC_ID_MP3, {"mp3float", "mp3"}},
    {AV_CODEC_ID_AAC, {"aac"}},
    {AV_CODEC_ID_FLAC, {"flac"}},
    {AV_CODEC_ID_PCM_S16LE, {"pcm_s16le"}},
    {AV_CODEC_ID_PCM_S16BE, {"pcm_s16be"}},
    {AV_CODEC_ID_PCM_S24LE, {"pcm_s24le"}},
    {AV_CODEC_ID_PCM_S24BE, {"pcm_s24be"}},
    {AV_CODEC_ID_PCM_F32LE, {"pcm_f32le"}},
    {AV_CODEC_ID_PCM_F32BE, {"pcm_f32be"}},
    {AV_CODEC_ID_PCM_ALAW, {"pcm_alaw"}},
    {AV_CODEC_ID_PCM_MULAW, {"pcm_mulaw"}},
};

static const struct {
    unsigned tag, bits;
    const char *decoder;
} wav_decoders[] = {
    {1, 8, "pcm_u8"},     {1, 16, "pcm_s16le"}, {1, 24, "pcm_s24le"}, {1, 32, "pcm_s32le"},
    {3, 32, "pcm_f32le"}, {3, 64, "pcm_f64le"}, {6, 8, "pcm_alaw"},   {7, 8, "pcm_mulaw"},
};

/* ---- output ---- */

static enum media_failure write_samples(struct decoder *d, const int16_t *samples, size_t n)
{
    uint64_t room = (uint64_t)d->job->max_seconds * d->job->rate - d->samples;
    struct media_io *io = d->source.io;
    size_t now = MIN(n, room);
    d->samples += now;
    if (now && io->write(io, samples, now * sizeof *samples) < 0)
        return MEDIA_GONE;
    return now < n ? MEDIA_TOO_LONG : MEDIA_OK;
}

/* Resamples n samples per channel; data NULL: the last ones, that wait inside. */
static enum media_failure resample(struct decoder *d, const uint8_t **data, int n)
{
    int16_t samples[OUT_SAMPLES];
    uint8_t *out = (uint8_t *)samples;
    enum media_failure failure = MEDIA_OK;
    int got;
    do {
        got = swr_convert(d->swr, &out, OUT_SAMPLES, data, n);
        if (got > 0)
            failure = write_samples(d, samples, (size_t)got);
        n = 0;
    } while (failure == MEDIA_OK && got == OUT_SAMPLES);
    return got < 0 ? MEDIA_BROKEN : failure;
}

static enum media_failure resample_end(struct decoder *d)
{
    enum media_failure failure = d->swr ? resample(d, NULL, 0) : MEDIA_OK;
    swr_free(&d->swr);
    return failure;
}

/* The layout of a frame; files do not always say it. */
static bool layout_of(const AVFrame *frame, AVChannelLayout *layout)
{
    int channels = frame->ch_layout.nb_channels;
    if (channels < 1 || channels > CHANNELS_MAX)
        return false;
    if (frame->ch_layout.order == AV_CHANNEL_ORDER_NATIVE)
        return av_channel_layout_copy(layout, &frame->ch_layout) == 0;
    av_channel_layout_default(layout, channels);
    return true;
}

/* A stream may change its rate or channels on its way. */
static enum media_failure resample_for(struct decoder *d, const AVFrame *frame)
{
    AVChannelLayout layout = {0};
    if (frame->sample_rate < RATE_MIN || frame->sample_rate > RATE_MAX || !layout_of(frame, &layout))
        return MEDIA_BROKEN;
    enum media_failure failure = MEDIA_OK;
    if (!d->swr || d->sample_rate != (unsigned)frame->sample_rate || d->sample_format != frame->format ||
        av_channel_layout_compare(&d->layout, &layout) != 0) {
        failure = resample_end(d);
        d->sample_rate = (unsigned)frame->sample_rate;
        d->sample_format = frame->format;
        d->swr = libav_resampler(&layout, d->sample_format, d->sample_rate, AV_SAMPLE_FMT_S16, d->job->rate);
        av_channel_layout_uninit(&d->layout);
        av_channel_layout_copy(&d->layout, &layout);
    }
    av_channel_layout_uninit(&layout);
    return d->swr ? failure : MEDIA_BROKEN;
}

static enum media_failure take_frame(struct decoder *d)
{
    AVFrame *frame = d->frame;
    enum media_failure failure = resample_for(d, frame);
    if (failure == MEDIA_OK)
        failure = resample(d, (const uint8_t **)(void *)frame->extended_data, frame->nb_samples);
    av_frame_unref(frame);
    d->frames = true;
    return failure;
}

/* Decodes one packet, NULL for what waits inside the decoder. A damaged packet is a gap, not the end. */
static enum media_failure decode(struct decoder *d, const AVPacket *packet)
{
    enum media_failure failure = MEDIA_OK;
    if (avcodec_send_packet(d->codec, packet) < 0)
        return MEDIA_OK;
    while (failure == MEDIA_OK && avcodec_receive_frame(d->codec, d->frame) == 0)
        failure = take_frame(d);
    return failure;
}

/* ---- input ---- */

static int avio_take(void *arg, uint8_t *to, int n)
{
    ssize_t got = media_source_read(arg, to, (size_t)n);
    return got > 0 ? (int)got : got == 0 ? AVERROR_EOF : AVERROR_EXIT;
}

static int64_t avio_move(void *arg, int64_t to, int whence)
{
    struct media_source *source = arg;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE)
        return (int64_t)source->held.len;
    if (whence == SEEK_CUR)
        to += (int64_t)source->at;
    else if (whence == SEEK_END)
        to += (int64_t)source->held.len;
    return media_source_seek(source, to) < 0 ? AVERROR(EINVAL) : to;
}

/* Containers may name other files and addresses; here there are none. */
static int refuse_open(AVFormatContext *format, AVIOContext **avio, const char *url, int flags, AVDictionary **options)
{
    (void)format;
    (void)avio;
    (void)url;
    (void)flags;
    (void)options;
    return AVERROR(EPERM);
}

static enum media_failure open_container(struct decoder *d, enum media_container container)
{
    unsigned char *buffer = av_malloc(AVIO_BUFFER);
    d->avio = buffer ? avio_alloc_context(buffer, AVIO_BUFFER, 0, &d->source, avio_take, NULL,
                                          d->source.whole ? avio_move : NULL)
                     : NULL;
    if (!d->avio) {
        av_free(buffer);
        return MEDIA_BROKEN;
    }
    d->format = avformat_alloc_context();
    const AVInputFormat *demuxer = av_find_input_format(demuxers[container]);
    if (!d->format || !demuxer)
        return MEDIA_NO_CODEC;
    d->format->pb = d->avio;
    d->format->io_open = refuse_open;
    d->format->max_streams = STREAMS_MAX;
    d->format->max_probe_packets = 1;
    d->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_NOBUFFER;
    return avformat_open_input(&d->format, "", demuxer, NULL) < 0 ? MEDIA_BROKEN : MEDIA_OK;
}

static const AVCodec *decoder_of(enum AVCodecID id, bool *wanted)
{
    const AVCodec *codec = NULL;
    for (size_t i = 0; i < COUNT(decoders); i++)
        for (size_t k = 0; k < DECODERS_PER_ID && decoders[i].id == id && !codec && decoders[i].names[k]; k++) {
            *wanted = true;
            codec = avcodec_find_decoder_by_name(decoders[i].names[k]);
        }
    return codec;
}

/* Picks the first track of audio that can be decoded, and skips the others. */
static enum media_failure open_track(struct decoder *d, const AVCodec **codec)
{
    bool wanted = false;
    *codec = NULL;
    for (unsigned i = 0; i < d->format->nb_streams; i++) {
        AVStream *stream = d->format->streams[i];
        stream->discard = AVDISCARD_ALL;
        if (*codec || stream->codecpar->codec_type != AVMEDIA_TYPE_AUDIO)
            continue;
        *codec = decoder_of(stream->codecpar->codec_id, &wanted);
        if (!*codec)
            continue;
        d->stream = (int)i;
        stream->discard = AVDISCARD_DEFAULT;
    }
    if (*codec)
        return MEDIA_OK;
    return wanted ? MEDIA_NO_CODEC : MEDIA_UNKNOWN;
}

/* The headers say enough for every codec of the list: no packet is read ahead to find out more. */
static enum media_failure open_decoder(struct decoder *d, const AVCodec *codec)
{
    d->packet = av_packet_alloc();
    d->frame = av_frame_alloc();
    if (!d->codec || !d->packet || !d->frame)
        return MEDIA_BROKEN;
    d->codec->thread_count = 1;
    return avcodec_open2(d->codec, codec, NULL) < 0 ? MEDIA_BROKEN : MEDIA_OK;
}

static enum media_failure decode_end(struct decoder *d)
{
    enum media_failure failure = decode(d, NULL);
    if (failure == MEDIA_OK)
        failure = resample_end(d);
    /* A recording that breaks off is what was recorded; one of which nothing is left is none. */
    return failure == MEDIA_OK && d->packets && !d->frames ? MEDIA_BROKEN : failure;
}

static enum media_failure decode_packets(struct decoder *d)
{
    const AVCodec *codec;
    enum media_failure failure = open_track(d, &codec);
    if (failure != MEDIA_OK)
        return failure;
    const AVStream *stream = d->format->streams[d->stream];
    d->codec = avcodec_alloc_context3(codec);
    if (d->codec && avcodec_parameters_to_context(d->codec, stream->codecpar) < 0)
        return MEDIA_BROKEN;
    if (d->codec)
        d->codec->pkt_timebase = stream->time_base;
    failure = open_decoder(d, codec);
    while (failure == MEDIA_OK && av_read_frame(d->format, d->packet) >= 0) {
        if (d->packet->stream_index == d->stream) {
            d->packets = true;
            failure = decode(d, d->packet);
        }
        av_packet_unref(d->packet);
    }
    return failure == MEDIA_OK ? decode_end(d) : failure;
}

/* ---- WAV ---- */

static const AVCodec *wav_codec(const struct media_wav *wav)
{
    for (size_t i = 0; i < COUNT(wav_decoders); i++)
        if (wav->tag == wav_decoders[i].tag && wav->bits == wav_decoders[i].bits)
            return avcodec_find_decoder_by_name(wav_decoders[i].decoder);
    return NULL;
}

/* Passes whole samples of all channels, as they come. */
static enum media_failure decode_blocks(struct decoder *d, uint64_t bytes, size_t block)
{
    uint8_t piece[WAV_PIECE];
    enum media_failure failure = MEDIA_OK;
    size_t have = 0;
    ssize_t got = 1;
    while (failure == MEDIA_OK && bytes && got > 0) {
        size_t want = MIN(sizeof piece / block * block - have, bytes);
        got = media_source_read(&d->source, piece + have, want);
        if (got <= 0)
            break;
        bytes -= (size_t)got;
        have += (size_t)got;
        d->packet->data = piece;
        d->packet->size = (int)(have / block * block);
        if (d->packet->size)
            failure = decode(d, d->packet);
        have %= block;
        memmove(piece, piece + d->packet->size, have);
    }
    d->packet->data = NULL;
    return failure;
}

static enum media_failure decode_wav(struct decoder *d)
{
    struct media_wav wav;
    if (!media_wav_begin(&d->source, &wav))
        return MEDIA_BROKEN;
    if (wav.rate < RATE_MIN || wav.rate > RATE_MAX || wav.channels < 1 || wav.channels > CHANNELS_MAX)
        return MEDIA_BROKEN;
    const AVCodec *codec = wav_codec(&wav);
    if (!codec)
        return MEDIA_UNKNOWN;
    d->codec = avcodec_alloc_context3(codec);
    if (!d->codec)
        return MEDIA_BROKEN;
    d->codec->sample_rate = (int)wav.rate;
    d->codec->bits_per_coded_sample = (int)wav.bits;
    av_channel_layout_default(&d->codec->ch_layout, (int)wav.channels);
    enum media_failure failure = open_decoder(d, codec);
    if (failure == MEDIA_OK)
        failure = decode_blocks(d, wav.bytes, wav.channels * wav.bits / 8);
    return failure == MEDIA_OK ? decode_end(d) : failure;
}

/* ---- all of it ---- */

static enum media_failure decode_container(struct decoder *d)
{
    enum media_container container = media_sniff(&d->source);
    if (container == CONTAINER_UNKNOWN)
        return d->source.ended && d->source.held.len == 0 ? MEDIA_EMPTY : MEDIA_UNKNOWN;
    if (container == CONTAINER_MP4_LATE && !media_source_whole(&d->source, LATE_INDEX_MAX))
        return MEDIA_TOO_LARGE;
    if (container == CONTAINER_WAV)
        return decode_wav(d);
    enum media_failure failure = open_container(d, container);
    return failure == MEDIA_OK ? decode_packets(d) : failure;
}

static void decoder_close(struct decoder *d)
{
    swr_free(&d->swr);
    av_channel_layout_uninit(&d->layout);
    av_frame_free(&d->frame);
    av_packet_free(&d->packet);
    avcodec_free_context(&d->codec);
    avformat_close_input(&d->format);
    if (d->avio)
        av_free(d->avio->buffer);
    avio_context_free(&d->avio);
}

/* ---- headerless PCM ---- */

static enum media_failure decode_pcm(struct decoder *d)
{
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
    int16_t piece[PCM_PIECE];
    const uint8_t *data = (const uint8_t *)piece;
    enum media_failure failure = MEDIA_OK;
    ssize_t got;
    d->swr = libav_resampler(&mono, AV_SAMPLE_FMT_S16, d->job->pcm_rate, AV_SAMPLE_FMT_S16, d->job->rate);
    if (!d->swr)
        return MEDIA_BROKEN;
    while (failure == MEDIA_OK && (got = media_source_samples(&d->source, piece, PCM_PIECE)) > 0)
        failure = resample(d, &data, (int)got);
    return failure == MEDIA_OK ? resample_end(d) : failure;
}

enum media_failure media_decode_run(const struct media_job *job, struct media_io *io)
{
    struct decoder d = {.job = job, .sample_format = AV_SAMPLE_FMT_NONE};
    media_source_init(&d.source, io);
    enum media_failure failure = job->pcm_rate ? decode_pcm(&d) : decode_container(&d);
    if (d.source.gone)
        failure = MEDIA_GONE;
    decoder_close(&d);
    media_source_free(&d.source);
    return failure;
}
