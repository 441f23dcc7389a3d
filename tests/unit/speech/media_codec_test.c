/* The conversions themselves, in this process: formats, slices, damage, bounds. */
#include "unit/speech/media_env.h"

#include <stdio.h>

#define RATE 24000

struct decoded {
    enum media_failure failure;
    struct buf pcm;
    size_t used, size; /* bytes of input that were read when the first output came, and in all */
};

static struct decoded decode_job(struct media_job *job, struct str in, size_t slice)
{
    struct memory_io m = memory_io(in, slice);
    struct decoded d = {.failure = media_decode_run(job, &m.io)};
    d.pcm = m.out;
    d.used = m.used;
    d.size = m.size;
    return d;
}

static struct decoded decode(struct str in, size_t slice)
{
    struct media_job job = {.kind = MEDIA_DECODE, .rate = RATE, .max_seconds = 60};
    return decode_job(&job, in, slice);
}

static void expect_tone(struct str file, size_t slice, double seconds, double slack)
{
    struct decoded d = decode(file, slice);
    assert_int_equal(d.failure, MEDIA_OK);
    assert_tone(buf_str(&d.pcm), RATE, seconds, slack);
    buf_free(&d.pcm);
}

static void expect_failure(struct str file, enum media_failure failure)
{
    struct decoded d = decode(file, 1000);
    assert_int_equal(d.failure, failure);
    buf_free(&d.pcm);
}

static struct buf recorded(const char *name)
{
    char path[512];
    struct buf file = BUF_INIT(MIB(1));
    snprintf(path, sizeof path, "%s/%s", RECORDED, name);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    buf_commit(&file, fread(buf_reserve(&file, KIB(64)), 1, KIB(64), in));
    fclose(in);
    return file;
}

/* ---- formats ---- */

/* What codecs add in front and behind, seconds. */
static const double slack_of[] = {
    [SPEECH_MP3] = 0.2, [SPEECH_OPUS] = 0.01, [SPEECH_AAC] = 0.2, [SPEECH_FLAC] = 0.01, [SPEECH_WAV] = 0.01};

static void every_format_comes_back(void **state)
{
    static const unsigned rates[] = {8000, 16000, 22050, 24000, 44100, 48000};
    (void)state;
    for (size_t f = 0; f < COUNT(slack_of); f++)
        for (size_t r = 0; r < COUNT(rates); r++) {
            struct buf file = encoded_tone((enum speech_format)f, rates[r], 1.5);
            expect_tone(buf_str(&file), 1000, 1.5, slack_of[f]);
            buf_free(&file);
        }
}

static void the_cut_of_slices_does_not_matter(void **state)
{
    static const size_t slices[] = {1, 7, 100, 4096, SIZE_MAX};
    (void)state;
    for (size_t f = 0; f < COUNT(slack_of); f++) {
        struct buf file = encoded_tone((enum speech_format)f, RATE, 0.7);
        struct decoded whole = decode(buf_str(&file), SIZE_MAX);
        for (size_t i = 0; i < COUNT(slices); i++) {
            struct decoded d = decode(buf_str(&file), slices[i]);
            assert_int_equal(d.failure, MEDIA_OK);
            assert_true(str_eq(buf_str(&d.pcm), buf_str(&whole.pcm)));
            buf_free(&d.pcm);
        }
        buf_free(&whole.pcm);
        buf_free(&file);
    }
}

static AVFrame *vorbis_frame(const AVCodecContext *codec, int64_t at)
{
    AVFrame *frame = av_frame_alloc();
    frame->nb_samples = codec->frame_size;
    frame->format = codec->sample_fmt;
    frame->sample_rate = codec->sample_rate;
    frame->pts = at;
    av_channel_layout_copy(&frame->ch_layout, &codec->ch_layout);
    assert_int_equal(av_frame_get_buffer(frame, 0), 0);
    for (int i = 0; i < 2 * frame->nb_samples; i++) {
        double time = (double)(at + i / 2) / RATE;
        ((float *)(void *)frame->data[i % 2])[i / 2] = (float)(sin(2 * M_PI * TONE_HZ * time) / 3);
    }
    return frame;
}

static void vorbis_packets(AVCodecContext *codec, AVFormatContext *format)
{
    AVPacket *packet = av_packet_alloc();
    for (int64_t at = 0; at <= RATE; at += codec->frame_size) {
        AVFrame *frame = at + codec->frame_size <= RATE ? vorbis_frame(codec, at) : NULL;
        assert_int_equal(avcodec_send_frame(codec, frame), 0);
        while (avcodec_receive_packet(codec, packet) == 0) {
            av_packet_rescale_ts(packet, (AVRational){1, RATE}, format->streams[0]->time_base);
            assert_true(av_write_frame(format, packet) >= 0);
        }
        av_frame_free(&frame);
    }
    av_packet_free(&packet);
}

/* One second of the tone, in stereo, as Ogg Vorbis, which is read but never written. */
static struct buf vorbis_tone(void)
{
    struct remux r = {.out = BUF_INIT(MIB(1))};
    const AVCodec *encoder = avcodec_find_encoder_by_name("libvorbis");
    AVCodecContext *codec = avcodec_alloc_context3(encoder);
    AVFormatContext *format = NULL;
    AVIOContext *avio = remux_avio(&r, true, false);
    codec->sample_fmt = AV_SAMPLE_FMT_FLTP;
    codec->sample_rate = RATE;
    av_channel_layout_default(&codec->ch_layout, 2);
    assert_int_equal(avcodec_open2(codec, encoder, NULL), 0);
    assert_true(avformat_alloc_output_context2(&format, NULL, "ogg", NULL) >= 0);
    assert_true(avcodec_parameters_from_context(avformat_new_stream(format, NULL)->codecpar, codec) >= 0);
    format->pb = avio;
    assert_true(avformat_write_header(format, NULL) >= 0);
    vorbis_packets(codec, format);
    assert_true(av_write_trailer(format) >= 0);
    avio_flush(avio);
    avcodec_free_context(&codec);
    avformat_free_context(format);
    remux_avio_free(avio);
    return r.out;
}

static void ogg_vorbis(void **state)
{
    (void)state;
    struct buf file = vorbis_tone();
    expect_tone(buf_str(&file), 1000, 1, 0.05);
    buf_free(&file);
}

static void browsers_recordings(void **state)
{
    static const char *const names[] = {"chromium.webm", "chromium.mp4"};
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct buf file = recorded(names[i]);
        struct decoded d = decode(buf_str(&file), 200);
        assert_int_equal(d.failure, MEDIA_OK);
        assert_true(d.used < d.size / 4);
        /* It begins with what was queued before the tone, and ends a slice early or late. */
        assert_in_range(d.pcm.len, RATE * 2 * 19 / 10, RATE * 2 * 22 / 10);
        assert_true(share_of(buf_str(&d.pcm), RATE, TONE_HZ, 0.5, 1.5) > 0.9);
        buf_free(&d.pcm);
        buf_free(&file);
    }
}

static void output_flows_while_input_comes(void **state)
{
    (void)state;
    struct buf files[] = {webm_tone(48000, 3), encoded_tone(SPEECH_OPUS, 48000, 3), encoded_tone(SPEECH_MP3, RATE, 3),
                          encoded_tone(SPEECH_AAC, RATE, 3), encoded_tone(SPEECH_WAV, RATE, 3)};
    for (size_t i = 0; i < COUNT(files); i++) {
        struct decoded d = decode(buf_str(&files[i]), 200);
        assert_int_equal(d.failure, MEDIA_OK);
        assert_tone(buf_str(&d.pcm), RATE, 3, 0.2);
        assert_in_range(d.used, 1, d.size / 10);
        buf_free(&d.pcm);
        buf_free(&files[i]);
    }
}

static void encoders_do_not_wait_for_the_end(void **state)
{
    (void)state;
    struct buf pcm = BUF_INIT(MIB(1));
    tone(&pcm, RATE, TONE_HZ, 3);
    for (int f = 0; f < SPEECH_FORMATS; f++) {
        struct media_job job = {.kind = MEDIA_ENCODE, .rate = RATE, .format = (enum speech_format)f, .max_seconds = 60};
        struct memory_io m = memory_io(buf_str(&pcm), 960);
        assert_int_equal(media_encode_run(&job, &m.io), MEDIA_OK);
        assert_true(m.used <= RATE * 2 / 4); /* a quarter of a second */
        buf_free(&m.out);
    }
    buf_free(&pcm);
}

/* AAC as iPhones record it, Opus as others do. */
static struct buf mp4_tone(enum speech_format format, double seconds, bool seeks, const char **options)
{
    struct buf audio = encoded_tone(format, 48000, seconds);
    struct buf file = remux(buf_str(&audio), format == SPEECH_AAC ? "aac" : "ogg", "mp4", seeks, options);
    buf_free(&audio);
    return file;
}

static void mp4_with_its_index_at_the_end(void **state)
{
    (void)state;
    for (int f = SPEECH_OPUS; f <= SPEECH_AAC; f++) {
        struct buf file = mp4_tone((enum speech_format)f, 2, true, NULL);
        assert_true(str_find(buf_str(&file), STR("moov")) > str_find(buf_str(&file), STR("mdat")));
        expect_tone(buf_str(&file), 1000, 2, 0.2);
        buf_free(&file);
    }
}

static void mp4_in_fragments(void **state)
{
    const char *options[] = {"movflags", "delay_moov+default_base_moof", "frag_duration", "100000", NULL};
    (void)state;
    for (int f = SPEECH_OPUS; f <= SPEECH_AAC; f++) {
        struct buf file = mp4_tone((enum speech_format)f, 3, false, options);
        struct decoded d = decode(buf_str(&file), 500);
        assert_int_equal(d.failure, MEDIA_OK);
        assert_tone(buf_str(&d.pcm), RATE, 3, 0.2);
        assert_true(d.used < d.size / 4);
        buf_free(&d.pcm);
        buf_free(&file);
    }
}

static void mp4_too_large_to_keep(void **state)
{
    (void)state;
    struct buf file = BUF_INIT(MIB(64));
    buf_add(&file,
            "\0\0\0\x10"
            "ftypisom\0\0\0\0\0\0\0\0mdat",
            24);
    size_t n = MIB(26);
    memset(buf_reserve(&file, n), 0, n);
    buf_commit(&file, n);
    expect_failure(buf_str(&file), MEDIA_TOO_LARGE);
    buf_free(&file);
}

/* ---- WAV made by hand ---- */

static void put_le(struct buf *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        buf_byte(out, (char)(value >> 8 * i));
}

static struct buf wav(unsigned codec, unsigned channels, unsigned rate, unsigned bits, struct str data)
{
    struct buf file = BUF_INIT(MIB(64));
    buf_lit(&file, "RIFF");
    put_le(&file, 36 + data.n, 4);
    buf_lit(&file, "WAVEfmt ");
    put_le(&file, 16, 4);
    put_le(&file, codec, 2);
    put_le(&file, channels, 2);
    put_le(&file, rate, 4);
    put_le(&file, (uint64_t)rate * channels * bits / 8, 4);
    put_le(&file, channels * bits / 8, 2);
    put_le(&file, bits, 2);
    buf_lit(&file, "data");
    put_le(&file, data.n, 4);
    buf_str_add(&file, data);
    return file;
}

/* The tone in every channel. */
static struct buf spread(unsigned channels, unsigned rate, double seconds)
{
    struct buf one = BUF_INIT(MIB(64)), all = BUF_INIT(MIB(64));
    tone(&one, rate, TONE_HZ, seconds);
    for (size_t i = 0; i < one.len; i += 2)
        for (unsigned c = 0; c < channels; c++)
            buf_add(&all, one.data + i, 2);
    buf_free(&one);
    return all;
}

static void channels_become_one(void **state)
{
    (void)state;
    for (unsigned channels = 1; channels <= 8; channels++) {
        struct buf pcm = spread(channels, 44100, 1), file = wav(1, channels, 44100, 16, buf_str(&pcm));
        expect_tone(buf_str(&file), 1000, 1, 0.01);
        buf_free(&pcm);
        buf_free(&file);
    }
}

static void other_samples_in_wav(void **state)
{
    (void)state;
    struct buf f32 = BUF_INIT(MIB(1)), u8 = BUF_INIT(MIB(1));
    for (int i = 0; i < 16000; i++) {
        double at = sin(2 * M_PI * TONE_HZ * i / 16000);
        float sample = (float)(at / 2);
        buf_add(&f32, &sample, sizeof sample);
        buf_byte(&u8, (char)(128 + (int)(100 * at)));
    }
    struct buf files[] = {wav(3, 1, 16000, 32, buf_str(&f32)), wav(1, 1, 16000, 8, buf_str(&u8))};
    for (size_t i = 0; i < COUNT(files); i++) {
        expect_tone(buf_str(&files[i]), 1000, 1, 0.01);
        buf_free(&files[i]);
    }
    buf_free(&f32);
    buf_free(&u8);
}

static void absurd_wav(void **state)
{
    static const struct {
        unsigned codec, channels, rate, bits;
    } cases[] = {
        {1, 1, 0, 16},     {1, 1, 1, 16},     {1, 1, 3999, 16},      {1, 1, 400000, 16}, {1, 1, 0xffffffff, 16},
        {1, 0, 16000, 16}, {1, 9, 16000, 16}, {1, 65535, 16000, 16}, {1, 1, 16000, 0},   {2, 1, 16000, 4},
    };
    static const char data[6400];
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf file =
            wav(cases[i].codec, cases[i].channels, cases[i].rate, cases[i].bits, str_n(data, sizeof data));
        struct decoded d = decode(buf_str(&file), 1000);
        if (d.failure != MEDIA_BROKEN && d.failure != MEDIA_UNKNOWN)
            fail_msg("case %zu: %d", i, d.failure);
        assert_int_equal(d.pcm.len, 0);
        buf_free(&d.pcm);
        buf_free(&file);
    }
}

static void wav_as_it_is_written(void **state)
{
    (void)state;
    struct buf pcm = BUF_INIT(MIB(1)), out;
    tone(&pcm, 16000, TONE_HZ, 0.1);
    assert_int_equal(encode(buf_str(&pcm), 16000, SPEECH_WAV, 0, &out), MEDIA_OK);
    static const char header[] = "RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0"
                                 "data\xff\xff\xff\xff";
    assert_int_equal(out.len, 44 + pcm.len);
    assert_memory_equal(buf_str(&out).p, header, 44);
    assert_memory_equal(buf_str(&out).p + 44, buf_str(&pcm).p, pcm.len);
    buf_free(&out);
    buf_free(&pcm);
}

/* ---- rates ---- */

static void headerless_pcm_is_resampled(void **state)
{
    static const unsigned rates[] = {8000, 11025, 16000, 24000, 44100, 48000};
    (void)state;
    for (size_t from = 0; from < COUNT(rates); from++)
        for (size_t to = 0; to < COUNT(rates); to++) {
            struct media_job job = {.rate = rates[to], .pcm_rate = rates[from], .max_seconds = 60};
            struct buf pcm = BUF_INIT(MIB(1));
            tone(&pcm, rates[from], TONE_HZ, 1);
            struct decoded d = decode_job(&job, buf_str(&pcm), 333); /* cuts samples in halves */
            assert_int_equal(d.failure, MEDIA_OK);
            assert_tone(buf_str(&d.pcm), rates[to], 1, 0.01);
            if (from == to)
                assert_true(str_eq(buf_str(&pcm), buf_str(&d.pcm)));
            buf_free(&d.pcm);
            buf_free(&pcm);
        }
}

static void encoders_resample(void **state)
{
    static const enum speech_format formats[] = {SPEECH_WAV, SPEECH_PCM, SPEECH_FLAC};
    (void)state;
    struct buf pcm = BUF_INIT(MIB(1)), out;
    tone(&pcm, 16000, TONE_HZ, 1);
    for (size_t i = 0; i < COUNT(formats); i++) {
        assert_int_equal(encode(buf_str(&pcm), 16000, formats[i], RATE, &out), MEDIA_OK);
        if (formats[i] == SPEECH_PCM)
            assert_tone(buf_str(&out), RATE, 1, 0.01);
        else
            expect_tone(buf_str(&out), 1000, 1, 0.01);
        buf_free(&out);
    }
    buf_free(&pcm);
}

/* ---- nothing, little, too much ---- */

static void nothing_at_all(void **state)
{
    (void)state;
    expect_failure(STR(""), MEDIA_EMPTY);
    expect_failure(STR("ID3\4\0\0\0\0\0\0"), MEDIA_EMPTY);
    struct media_job job = {.rate = RATE, .pcm_rate = 16000, .max_seconds = 60};
    struct decoded d = decode_job(&job, STR("x"), 1);
    assert_int_equal(d.failure, MEDIA_OK);
    assert_int_equal(d.pcm.len, 0);
}

static void no_samples(void **state)
{
    (void)state;
    for (int f = 0; f < SPEECH_FORMATS; f++) {
        struct buf file;
        assert_int_equal(encode(STR_NONE, RATE, (enum speech_format)f, 0, &file), MEDIA_OK);
        struct decoded d = decode(buf_str(&file), 1000);
        /* FFmpeg wants a first page behind Ogg's headers. */
        assert_int_equal(d.failure, f == SPEECH_OPUS ? MEDIA_BROKEN : file.len ? MEDIA_OK : MEDIA_EMPTY);
        assert_true(d.pcm.len < RATE * 2 / 4);
        buf_free(&d.pcm);
        buf_free(&file);
    }
}

static void longer_than_allowed(void **state)
{
    struct media_job job = {.rate = RATE, .max_seconds = 2};
    (void)state;
    for (size_t f = 0; f < COUNT(slack_of); f++) {
        struct buf file = encoded_tone((enum speech_format)f, RATE, 3);
        struct decoded d = decode_job(&job, buf_str(&file), 1000);
        assert_int_equal(d.failure, MEDIA_TOO_LONG);
        assert_int_equal(d.pcm.len, 2 * RATE * 2);
        buf_free(&d.pcm);
        buf_free(&file);
    }
    struct media_job pcm = {.rate = 48000, .pcm_rate = 8000, .max_seconds = 1};
    struct decoded d = decode_job(&pcm, str_n((char[20000]){0}, 20000), 1000);
    assert_int_equal(d.failure, MEDIA_TOO_LONG);
    buf_free(&d.pcm);
    struct media_job out = {.kind = MEDIA_ENCODE, .rate = 8000, .format = SPEECH_MP3, .max_seconds = 1};
    struct memory_io m = memory_io(str_n((char[20000]){0}, 20000), 1000);
    assert_int_equal(media_encode_run(&out, &m.io), MEDIA_TOO_LONG);
    buf_free(&m.out);
}

/* Little input, much output. */
static void a_bomb_of_silence(void **state)
{
    struct media_job job = {.kind = MEDIA_ENCODE, .rate = 8000, .format = SPEECH_FLAC, .max_seconds = 3600};
    (void)state;
    size_t n = (size_t)8000 * 2 * 3600;
    char *silence = calloc(n, 1);
    assert_non_null(silence);
    struct memory_io m = memory_io(str_n(silence, n), KIB(32));
    assert_int_equal(media_encode_run(&job, &m.io), MEDIA_OK);
    assert_true(m.out.len < n / 50);
    struct decoded d = decode(buf_str(&m.out), 1000);
    assert_int_equal(d.failure, MEDIA_TOO_LONG);
    assert_int_equal(d.pcm.len, 60 * RATE * 2);
    assert_true(d.used < d.size / 10);
    buf_free(&d.pcm);
    buf_free(&m.out);
    free(silence);
}

static void nobody_wants_it(void **state)
{
    struct media_job job = {.kind = MEDIA_ENCODE, .rate = RATE, .max_seconds = 60};
    (void)state;
    struct buf pcm = BUF_INIT(MIB(1));
    tone(&pcm, RATE, TONE_HZ, 2);
    for (int f = 0; f < SPEECH_FORMATS; f++) {
        job.format = (enum speech_format)f;
        struct memory_io m = memory_io(buf_str(&pcm), 1000);
        m.quit_after = 500;
        assert_int_equal(media_encode_run(&job, &m.io), MEDIA_GONE);
        buf_free(&m.out);
        struct buf file = encoded_tone(f == SPEECH_PCM ? SPEECH_WAV : (enum speech_format)f, RATE, 2);
        struct media_job back = {.rate = RATE, .max_seconds = 60};
        struct memory_io in = memory_io(buf_str(&file), 100);
        in.quit_after = 500;
        assert_int_equal(media_decode_run(&back, &in.io), MEDIA_GONE);
        buf_free(&in.out);
        buf_free(&file);
    }
    buf_free(&pcm);
}

/* ---- damage ---- */

static void recordings_that_break_off(void **state)
{
    (void)state;
    struct buf files[] = {webm_tone(48000, 2),
                          encoded_tone(SPEECH_OPUS, 48000, 2),
                          encoded_tone(SPEECH_MP3, RATE, 2),
                          encoded_tone(SPEECH_AAC, RATE, 2),
                          encoded_tone(SPEECH_WAV, RATE, 2),
                          encoded_tone(SPEECH_FLAC, RATE, 2)};
    for (size_t i = 0; i < COUNT(files); i++) {
        struct str half = buf_str(&files[i]);
        half.n /= 2;
        struct decoded d = decode(half, 1000);
        assert_int_equal(d.failure, MEDIA_OK);
        assert_in_range(d.pcm.len, RATE * 2 * 7 / 10, RATE * 2 * 13 / 10);
        buf_free(&d.pcm);
        buf_free(&files[i]);
    }
}

/* Every prefix is an error or a shorter recording, and never more than the whole. */
static void every_cut_of_a_header(void **state)
{
    (void)state;
    struct buf files[] = {webm_tone(48000, 0.3), encoded_tone(SPEECH_OPUS, 48000, 0.3), recorded("chromium.mp4"),
                          encoded_tone(SPEECH_WAV, 8000, 0.3), encoded_tone(SPEECH_FLAC, 8000, 0.3)};
    for (size_t i = 0; i < COUNT(files); i++) {
        for (size_t n = 0; n < MIN(files[i].len, 700); n++) {
            struct decoded d = decode(str_n(buf_str(&files[i]).p, n), SIZE_MAX);
            assert_true(d.failure == MEDIA_OK || d.pcm.len == 0);
            assert_true(d.failure != MEDIA_INTERNAL && d.failure != MEDIA_GONE);
            buf_free(&d.pcm);
        }
        buf_free(&files[i]);
    }
}

static void half_a_webm_header(void **state)
{
    (void)state;
    struct buf file = webm_tone(48000, 1);
    ptrdiff_t tracks = str_find(buf_str(&file), STR("OpusHead"));
    assert_true(tracks > 0);
    expect_failure(str_n(buf_str(&file).p, (size_t)tracks), MEDIA_BROKEN);
    expect_failure(str_n(buf_str(&file).p, 20), MEDIA_BROKEN);
    expect_failure(str_n(buf_str(&file).p, 3), MEDIA_UNKNOWN);
    /* A later slice alone is no recording. */
    expect_failure(str_from(buf_str(&file), file.len / 2), MEDIA_UNKNOWN);
    buf_free(&file);
}

static void mp3_with_a_hole(void **state)
{
    (void)state;
    struct buf file = encoded_tone(SPEECH_MP3, RATE, 3);
    size_t third = file.len / 3;
    for (size_t i = 0; i < third / 4; i++)
        file.data[file.head + third + i] = (char)(i * 7919 >> 3);
    struct decoded d = decode(buf_str(&file), 1000);
    assert_int_equal(d.failure, MEDIA_OK);
    assert_in_range(d.pcm.len, RATE * 2 * 25 / 10, RATE * 2 * 33 / 10);
    assert_true(share_of(buf_str(&d.pcm), RATE, TONE_HZ, 0.2, 0.8) > 0.9);
    double end = (double)d.pcm.len / 2 / RATE;
    assert_true(share_of(buf_str(&d.pcm), RATE, TONE_HZ, end - 1, end - 0.2) > 0.9);
    buf_free(&d.pcm);
    buf_free(&file);
}

static void tags_and_junk_in_front(void **state)
{
    static const char tag[] = "ID3\4\0\0\0\0\1\x1f"; /* 159 bytes follow */
    (void)state;
    for (int f = SPEECH_MP3; f <= SPEECH_AAC; f += SPEECH_AAC - SPEECH_MP3) {
        struct buf audio = encoded_tone((enum speech_format)f, RATE, 1), file = BUF_INIT(MIB(1));
        for (int i = 0; i < 2; i++) {
            buf_add(&file, tag, 10);
            buf_add(&file, (char[159]){(char)0xff, (char)0xfb}, 159);
        }
        if (f == SPEECH_MP3)
            buf_lit(&file, "left over from a cut tag \xff\xfb\x50 and more of it");
        buf_str_add(&file, buf_str(&audio));
        expect_tone(buf_str(&file), 1000, 1, 0.2);
        buf_free(&audio);
        buf_free(&file);
    }
}

/* A short sequence that is the same everywhere. */
static void noise(struct buf *out, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        buf_byte(out, (char)(seed >> 24));
    }
}

static void noise_is_not_audio(void **state)
{
    static const struct str heads[] = {
        {"", 0},
        {"\x1a\x45\xdf\xa3", 4},
        {"OggS\0\2", 6},
        {"fLaC\0\0\0\x22", 8},
        {"RIFF\0\1\0\0WAVEfmt ", 16},
        {"\0\0\0\x10"
         "ftypisom\0\0\0\0",
         16},
        {"\0\0\1\0moov\0\0\0\x6cmvhd", 16},
        {"ID3\4\0\0\0\0\1\0", 10},
        {"\xff\xfb\x90\x64", 4},
        {"\xff\xf1\x50\x80", 4},
    };
    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++)
        for (size_t i = 0; i < COUNT(heads); i++) {
            struct buf file = BUF_INIT(MIB(1));
            buf_str_add(&file, heads[i]);
            noise(&file, 5000, seed);
            struct decoded d = decode(buf_str(&file), 777);
            assert_true(d.failure == MEDIA_BROKEN || d.failure == MEDIA_UNKNOWN);
            buf_free(&d.pcm);
            buf_free(&file);
        }
}

static void damage_anywhere(void **state)
{
    (void)state;
    struct buf files[] = {webm_tone(48000, 0.5),
                          encoded_tone(SPEECH_OPUS, 48000, 0.5),
                          encoded_tone(SPEECH_MP3, RATE, 0.5),
                          encoded_tone(SPEECH_AAC, RATE, 0.5),
                          encoded_tone(SPEECH_WAV, RATE, 0.5),
                          encoded_tone(SPEECH_FLAC, RATE, 0.5),
                          recorded("chromium.mp4")};
    for (size_t i = 0; i < COUNT(files); i++) {
        for (uint32_t seed = 1; seed <= 40; seed++) {
            struct buf file = BUF_INIT(MIB(1)), dice = BUF_INIT(KIB(1));
            buf_str_add(&file, buf_str(&files[i]));
            noise(&dice, 64, seed);
            for (size_t k = 0; k + 2 < dice.len; k += 3) {
                size_t at = (size_t)(unsigned char)dice.data[k] << 8 | (unsigned char)dice.data[k + 1];
                file.data[at * (k < 16 ? 1 : 31) % (k < 16 ? MIN(300, file.len) : file.len)] = dice.data[k + 2];
            }
            struct decoded d = decode(buf_str(&file), 4096);
            assert_true(d.failure < MEDIA_NO_LIBRARY);
            buf_free(&d.pcm);
            buf_free(&dice);
            buf_free(&file);
        }
        buf_free(&files[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_comes_back),
        cmocka_unit_test(the_cut_of_slices_does_not_matter),
        cmocka_unit_test(ogg_vorbis),
        cmocka_unit_test(browsers_recordings),
        cmocka_unit_test(output_flows_while_input_comes),
        cmocka_unit_test(encoders_do_not_wait_for_the_end),
        cmocka_unit_test(mp4_with_its_index_at_the_end),
        cmocka_unit_test(mp4_in_fragments),
        cmocka_unit_test(mp4_too_large_to_keep),
        cmocka_unit_test(channels_become_one),
        cmocka_unit_test(other_samples_in_wav),
        cmocka_unit_test(absurd_wav),
        cmocka_unit_test(wav_as_it_is_written),
        cmocka_unit_test(headerless_pcm_is_resampled),
        cmocka_unit_test(encoders_resample),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(no_samples),
        cmocka_unit_test(longer_than_allowed),
        cmocka_unit_test(a_bomb_of_silence),
        cmocka_unit_test(nobody_wants_it),
        cmocka_unit_test(recordings_that_break_off),
        cmocka_unit_test(every_cut_of_a_header),
        cmocka_unit_test(half_a_webm_header),
        cmocka_unit_test(mp3_with_a_hole),
        cmocka_unit_test(tags_and_junk_in_front),
        cmocka_unit_test(noise_is_not_audio),
        cmocka_unit_test(damage_anywhere),
    };
    if (!libav_load())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
