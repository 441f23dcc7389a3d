/* Voice activity: where speech begins and ends in PCM (signed 16 bit, mono). Pure and deterministic: no clock, no
 * memory of its own (4 KiB in all); 10 ms of audio cost about 10 us. Twelve bands of the voice's range are compared
 * with the background in each of them, which is followed as it changes; speech begins only with something that has the
 * pulse of a voice, so that a fan, a wave of traffic or a slammed door are none. */
#ifndef SPEECH_VAD_H
#define SPEECH_VAD_H

#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>

struct vad_config {
    double threshold;           /* 0 to 1, higher wants clearer speech; 0: 0.5 */
    unsigned prefix_padding_ms; /* how much earlier than the first frame of speech it is said to begin */
    unsigned silence_ms;        /* how long it must be quiet before speech is said to have ended; at least 20 */
};
#define VAD_DEFAULTS ((struct vad_config){.threshold = 0.5, .prefix_padding_ms = 300, .silence_ms = 500})

enum vad_event_type { VAD_NONE, VAD_SPEECH_STARTED, VAD_SPEECH_STOPPED };
struct vad_event {
    enum vad_event_type type;
    /* Samples from the first one pushed. STARTED: with the padding, but not before the last stop; STOPPED: with the
     * silence that told. */
    uint64_t at;
};

#define VAD_BANDS  12
#define VAD_WINDOW 512 /* samples: 32 ms at less than 16 kHz, to which the input is reduced */
#define VAD_FRESH  160 /* samples of a frame at that rate */

struct vad_band {
    float b, a1, a2;      /* a resonator: two poles, zeros at 0 and at half the rate */
    float x1, x2, y1, y2; /* its memory */
    float power;          /* of this frame, then of late */
    float slow, least, next_least, noise, presence;
};

struct vad {
    struct vad_config config;
    unsigned rate, frame; /* of the input; samples of a frame */
    uint64_t pushed;      /* samples */
    uint64_t stopped_at;
    bool speaking;

    unsigned factor, phase; /* reduction of the rate */
    float sum, high_x[2], high_y[2];
    float window[VAD_WINDOW], fresh[VAD_FRESH]; /* samples at the lower rate, oldest first; those of this frame */
    unsigned span, fill, nfresh;                /* samples that the window should have, and has */

    struct vad_band bands[VAD_BANDS];
    unsigned frames;
    float above;       /* of late: how much louder than the background, dB, over the bands */
    float voiced;      /* of late: the pulse of a voice, 0 to 1 */
    float probability; /* of the last frame */
    unsigned onset;    /* score of frames that sound like speech */
    unsigned quiet_ms;
};

/* rate: 8000 to 48000 Hz. config NULL: VAD_DEFAULTS. */
void vad_init(struct vad *v, unsigned rate, const struct vad_config *config);
/* Other settings from now on; what is known of the background stays. */
void vad_configure(struct vad *v, const struct vad_config *config);
/* Speech is over here because the caller says so, without an event; what goes on begins anew. */
void vad_end(struct vad *v);
/* Takes samples up to the next event, or all of them, and returns how many: call again with the rest. */
size_t vad_push(struct vad *v, const int16_t *samples, size_t n, struct vad_event *event);
/* Whether the last frame lies in speech. */
static inline bool vad_speaking(const struct vad *v)
{
    return v->speaking;
}

#endif
