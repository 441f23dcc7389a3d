#include "chat/voice_input.h"

#include "base/mem.h"
#include "chat/voice_endpoint.h"
#include "chat/voice_input_impl.h"

#include <stdlib.h>

#define COMMIT_MS        100 /* less is no utterance */
#define MAX_UTTERANCE_MS 60000
#define BEHIND_MS        60000 /* audio that waits for recognition at most */
#define PREFIX_MAX_MS    5000
#define SURE_MS          60    /* what voice activity needs to be sure … */
#define ONSET_MS         100   /* … and some more */
#define SETTLED_MS       200   /* a partial that was the same for so long is not changing */
#define STARVED_MS       10000 /* without audio */
#define PIECE            512   /* samples */

/* ---- settings ---- */

static void copy_listening(struct voice_listening *to, const struct voice_listening *from, unsigned rate)
{
    *to = *from;
    to->rate = rate;
    to->language = str_c(str_dup(from->language));
    to->prompt = str_c(str_dup(from->prompt));
    to->prefix_ms = MIN(from->prefix_ms, (unsigned)PREFIX_MAX_MS);
    to->max_silence_ms = MAX(from->max_silence_ms, from->silence_ms);
    to->max_utterance_ms = from->max_utterance_ms ? MAX(from->max_utterance_ms, 2u * COMMIT_MS) : MAX_UTTERANCE_MS;
}

static void free_listening(struct voice_listening *how)
{
    free((char *)how->language.p);
    free((char *)how->prompt.p);
    *how = (struct voice_listening){.rate = how->rate};
}

static uint64_t samples_of(const struct voice_input *in, uint64_t ms)
{
    return in->how.rate * ms / 1000;
}

static struct vad_config vad_settings(const struct voice_listening *how)
{
    return (struct vad_config){
        .threshold = how->threshold, .prefix_padding_ms = how->prefix_ms, .silence_ms = how->silence_ms};
}

static void drop_prefix(struct voice_input *in)
{
    in->prefix_len = in->prefix_at = 0;
}

/* Settings that came while somebody spoke. */
static void take_settings(struct voice_input *in)
{
    if (in->current || !in->changed)
        return;
    in->changed = false;
    if (in->next.prefix_ms != in->how.prefix_ms || !in->next.detect) {
        free(in->prefix);
        in->prefix = NULL;
        drop_prefix(in);
    }
    if (in->next.clean != in->how.clean) {
        clean_free(in->clean);
        in->clean = clean_new(in->next.clean, in->how.rate);
    }
    free_listening(&in->how);
    in->how = in->next;
    in->next = (struct voice_listening){.rate = in->how.rate};
    struct vad_config vad = vad_settings(&in->how);
    vad_configure(&in->vad, &vad);
}

/* ---- the audio before the voice ---- */

static void prefix_add(struct voice_input *in, struct str pcm)
{
    if (!in->prefix) {
        in->prefix_size = samples_of(in, in->how.prefix_ms + ONSET_MS) * sizeof(int16_t);
        in->prefix = mem_alloc(in->prefix_size);
    }
    pcm = str_from(pcm, pcm.n - MIN(pcm.n, in->prefix_size));
    size_t first = MIN(pcm.n, in->prefix_size - in->prefix_at);
    memcpy(in->prefix + in->prefix_at, pcm.p, first);
    memcpy(in->prefix, pcm.p + first, pcm.n - first);
    in->prefix_at = (in->prefix_at + pcm.n) % in->prefix_size;
    in->prefix_len = MIN(in->prefix_len + pcm.n, in->prefix_size);
}

/* Moves the newest n bytes to the utterance. */
static void prefix_take(struct voice_input *in, size_t n)
{
    size_t from = (in->prefix_at + in->prefix_size - n) % in->prefix_size;
    size_t first = MIN(n, in->prefix_size - from);
    utterance_add(in->current, str_n(in->prefix + from, first));
    utterance_add(in->current, str_n(in->prefix, n - first));
    drop_prefix(in);
}

/* ---- where utterances begin and end ---- */

static void on_starved(struct timer *timer);

static void begin(struct voice_input *in, bool detected)
{
    in->in_doubt = false;
    utterance_begin(in, detected);
    if (!timer_running(&in->starved))
        timer_start(in->loop, &in->starved, STARVED_MS);
}

/* `at`: where the voice begins, the prefix included. */
static void begin_detected(struct voice_input *in, uint64_t at)
{
    size_t n = MIN((size_t)(in->written - at) * sizeof(int16_t), in->prefix_len);
    begin(in, true);
    input_tell(in->current, VOICE_HEARD_STARTED, in->written - n / sizeof(int16_t));
    prefix_take(in, n);
    in->voice_from = in->written - MIN(in->written, samples_of(in, SURE_MS));
}

/* What cleaning holds back of what was said is added to it, or forgotten. */
static void take_held_back(struct voice_input *in, struct utterance *to)
{
    int16_t piece[CLEAN_DELAY_MAX];
    size_t n = clean_delay(in->clean);
    clean_flush(in->clean, piece);
    if (!to || n == 0)
        return;
    utterance_add(to, str_n(piece, n * sizeof *piece));
    to->samples -= n; /* for the silence that it began with */
}

static void end(struct voice_input *in)
{
    struct utterance *u = in->current;
    if (!in->in_doubt) /* after a silence there is only more of that */
        take_held_back(in, u);
    if (u->detected) {
        vad_end(&in->vad);
        input_tell(u, VOICE_HEARD_STOPPED, in->written);
    }
    utterance_end(u);
    take_settings(in);
}

/* Somebody who speaks may stop sending, or go away; a recognizer must not wait for that. */
static void on_starved(struct timer *timer)
{
    struct voice_input *in = container_of(timer, struct voice_input, starved);
    uint64_t quiet = loop_now_ms(in->loop) - in->written_ms;
    if (!in->current)
        return;
    if (quiet < STARVED_MS)
        timer_start(in->loop, timer, STARVED_MS - quiet);
    else if (in->current->detected)
        end(in);
    else
        utterance_rest(in->current);
}

static bool sounds_complete(const struct voice_input *in)
{
    const struct utterance *u = in->current;
    bool settled = u->text.len == 0 || loop_now_ms(in->loop) - u->changed_ms >= SETTLED_MS;
    return settled && voice_endpoint_complete(buf_str(&u->text), in->how.language);
}

/* Voice activity changed its mind. */
static void take_event(struct voice_input *in, const struct vad_event *event)
{
    if (event->type == VAD_SPEECH_STARTED) {
        if (!in->current)
            begin_detected(in, in->vad_from + event->at);
        in->in_doubt = false;
    } else if (event->type == VAD_SPEECH_STOPPED && in->current) {
        in->in_doubt = true;
        in->quiet_from = in->written;
    }
}

/* Samples until the utterance under way ends for its length or the silence in it. */
static uint64_t until_end(const struct voice_input *in)
{
    uint64_t most = samples_of(in, in->how.max_utterance_ms), left = UINT64_MAX;
    if (in->current)
        left = most > in->current->samples ? most - in->current->samples : 0;
    if (in->current && in->in_doubt) {
        uint64_t end = in->quiet_from + samples_of(in, in->how.max_silence_ms - in->how.silence_ms);
        left = MIN(left, end > in->written ? end - in->written : 0);
    }
    return left;
}

/* Takes samples up to where something happens, and returns how many. Those are clean then. */
static size_t detect(struct voice_input *in, int16_t *samples, size_t n)
{
    struct vad_event event;
    n = vad_push(&in->vad, samples, (size_t)MIN((uint64_t)n, until_end(in)), &event);
    clean_push(in->clean, samples, n);
    struct str pcm = str_n(samples, n * sizeof *samples);
    in->written += n;
    if (in->current)
        utterance_add(in->current, pcm);
    else
        prefix_add(in, pcm);
    take_event(in, &event);
    if (in->current && (until_end(in) == 0 || (in->in_doubt && sounds_complete(in))))
        end(in);
    return n;
}

/* The same for audio whose end a commit says. */
static void collect(struct voice_input *in, int16_t *samples, size_t n)
{
    if (!in->current)
        begin(in, false);
    clean_push(in->clean, samples, n);
    utterance_add(in->current, str_n(samples, n * sizeof *samples));
    in->written += n;
    in->vad_from += n;
}

/* ---- the interface ---- */

struct voice_input *voice_input_new(struct stt *stt, const struct voice_listening *how, voice_heard_fn *heard,
                                    void *arg)
{
    struct voice_input *in = mem_zalloc(sizeof *in);
    in->loop = loop_self();
    in->stt = stt;
    in->heard = heard;
    in->arg = arg;
    copy_listening(&in->how, how, how->rate);
    struct vad_config vad = vad_settings(&in->how);
    vad_init(&in->vad, in->how.rate, &vad);
    in->clean = clean_new(in->how.clean, in->how.rate);
    list_init(&in->utterances);
    list_init(&in->due);
    in->deliver.fn = input_deliver;
    in->starved.fn = on_starved;
    return in;
}

void voice_input_configure(struct voice_input *in, const struct voice_listening *how)
{
    free_listening(&in->next);
    copy_listening(&in->next, how, in->how.rate);
    in->changed = true;
    if (in->current && !in->current->detected && how->detect)
        utterance_forget(in->current);
    take_settings(in);
}

static int check_room(const struct voice_input *in, size_t n, struct err *e)
{
    uint64_t pending = in->current ? in->current->samples : 0;
    bool detected = in->current ? in->current->detected : in->how.detect;
    if (utterances_waiting(in) >= samples_of(in, BEHIND_MS) * sizeof(int16_t))
        return err_set(e, ERR_OVERLOADED, "Speech recognition is too far behind");
    if (!detected && pending + n > samples_of(in, in->how.max_utterance_ms))
        return err_set(e, ERR_OVERLOADED, "More audio than can be recognized at once was not committed");
    return 0;
}

int voice_input_write(struct voice_input *in, struct str pcm, struct err *e)
{
    int16_t piece[PIECE];
    size_t n = pcm.n / sizeof *piece;
    if (check_room(in, n, e) < 0)
        return -1;
    in->written_ms = loop_now_ms(in->loop);
    while (n > 0) {
        bool detected = in->current ? in->current->detected : in->how.detect;
        size_t took = MIN(n, (size_t)PIECE);
        memcpy(piece, pcm.p, took * sizeof *piece); /* where it lies, samples may not be aligned */
        if (detected)
            took = detect(in, piece, took);
        else
            collect(in, piece, took);
        pcm = str_from(pcm, took * sizeof *piece);
        n -= took;
    }
    return 0;
}

uint64_t voice_input_pending_ms(const struct voice_input *in)
{
    return in->current ? input_ms(in, in->current->samples) : 0;
}

uint64_t voice_input_commit(struct voice_input *in)
{
    if (voice_input_pending_ms(in) < COMMIT_MS)
        return 0;
    uint64_t number = in->current->number;
    end(in);
    return number;
}

uint64_t voice_input_clear(struct voice_input *in)
{
    uint64_t number = in->current ? in->current->number : 0;
    if (in->current) {
        vad_end(&in->vad);
        utterance_forget(in->current);
    }
    take_held_back(in, NULL);
    drop_prefix(in);
    take_settings(in);
    return number;
}

bool voice_input_speaking(const struct voice_input *in)
{
    return in->current && in->current->detected;
}

uint64_t voice_input_voiced_ms(const struct voice_input *in)
{
    if (!voice_input_speaking(in))
        return 0;
    uint64_t quiet =
        vad_speaking(&in->vad) ? in->vad.quiet_ms : in->how.silence_ms + input_ms(in, in->written - in->quiet_from);
    uint64_t all = input_ms(in, in->written - in->voice_from);
    return all > quiet ? all - quiet : 0;
}

size_t voice_input_busy(const struct voice_input *in)
{
    size_t n = 0;
    list_each(at, &in->utterances)
        n += container_of(at, struct utterance, link)->ended;
    return n;
}

struct voice_input *voice_input_free(struct voice_input *in)
{
    if (!in)
        return NULL;
    if (in->gone)
        *in->gone = true;
    in->current = NULL;
    while (!list_empty(&in->utterances))
        utterance_discard(container_of(in->utterances.next, struct utterance, link));
    timer_stop(in->loop, &in->deliver);
    timer_stop(in->loop, &in->starved);
    for (struct list *first; (first = list_pop_front(&in->due));)
        free(first);
    clean_free(in->clean);
    free(in->prefix);
    free_listening(&in->how);
    free_listening(&in->next);
    free(in);
    return NULL;
}
