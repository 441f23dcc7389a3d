#include "chat/voice_impl.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct voice_metrics metrics;

static void make(void)
{
    static const double seconds[] = {0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10};
    static const char *const outcomes[] = {[VOICE_RESPONSE_COMPLETED] = "outcome=\"completed\"",
                                           [VOICE_RESPONSE_CANCELLED] = "outcome=\"cancelled\"",
                                           [VOICE_RESPONSE_FAILED] = "outcome=\"failed\"",
                                           [VOICE_RESPONSE_INCOMPLETE] = "outcome=\"incomplete\""};
    metrics.sessions = metric_gauge("parley_voice_sessions", "Voice sessions that are open.", NULL);
    for (size_t i = VOICE_RESPONSE_COMPLETED; i < COUNT(outcomes); i++)
        metrics.replies[i] = metric_counter("parley_voice_replies_total", "Voice replies that ended.", outcomes[i]);
    metrics.interrupted = metric_counter("parley_voice_interruptions_total",
                                         "Speech of users while a reply was thought or heard.", "real=\"true\"");
    metrics.resumed = metric_counter("parley_voice_interruptions_total",
                                     "Speech of users while a reply was thought or heard.", "real=\"false\"");
    metrics.first_audio = metric_histogram("parley_voice_first_audio_seconds",
                                           "From the end of an utterance to the first audio of its reply.", NULL,
                                           seconds, COUNT(seconds), 1e-9);
}

const struct voice_metrics *voice_metrics(void)
{
    pthread_once(&once, make);
    return &metrics;
}
