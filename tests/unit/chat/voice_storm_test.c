/* Clients that do anything at any time: whatever the order of their calls, the events keep theirs, and nothing is left
 * behind. The seeds are fixed. */
#include "unit/support/voice_env.h"

#define STEPS  250
#define SEEDS  12
#define KNOWN  1024
#define MORSEL 320 /* ms of sound in one step */

struct known {
    char id[VOICE_ID];
    bool begun, done, heard; /* responses; heard: a transcript came for the item */
};

struct storm {
    struct voice_call s;
    uint64_t seed;
    bool paused;
    struct known responses[KNOWN], items[KNOWN];
    size_t nresponses, nitems;
};

static unsigned outcomes[VOICE_RESPONSE_INCOMPLETE + 1], kinds[VOICE_ENDED + 1]; /* of all storms */

static uint64_t roll(struct storm *storm, uint64_t below)
{
    storm->seed = storm->seed * 6364136223846793005u + 1442695040888963407u;
    return (storm->seed >> 33) % below;
}

static struct known *know(struct known *all, size_t *n, const char *id)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(all[i].id, id) == 0)
            return &all[i];
    assert_true(*n < KNOWN);
    all[*n] = (struct known){.done = false};
    str_copy(all[*n].id, VOICE_ID, str_c(id));
    return &all[(*n)++];
}

static void check_response(struct storm *storm, const struct voice_event *event)
{
    size_t before = storm->nresponses;
    struct known *r = know(storm->responses, &storm->nresponses, event->response->id);
    bool output = event->type == VOICE_TEXT || event->type == VOICE_AUDIO;
    assert_int_equal(event->type == VOICE_RESPONSE_CREATED, storm->nresponses > before);
    assert_false(r->done);
    assert_false(output && storm->paused);
    if (event->type == VOICE_OUTPUT_ADDED) {
        assert_false(r->begun);
        r->begun = true;
    }
    assert_true(r->begun || !(output || event->type == VOICE_OUTPUT_DONE));
    r->done = event->type == VOICE_RESPONSE_DONE;
    if (r->done)
        outcomes[event->response->outcome]++;
}

static void check_event(void *arg, const struct voice_event *event)
{
    struct storm *storm = arg;
    kinds[event->type]++;
    if (event->response)
        check_response(storm, event);
    if (event->type == VOICE_TRANSCRIPT_DONE || event->type == VOICE_TRANSCRIPT_FAILED) {
        struct known *item = know(storm->items, &storm->nitems, event->item->id);
        assert_false(item->heard);
        item->heard = true;
    }
    session_event(&storm->s, event);
    buf_clear(&storm->s.log);
    buf_clear(&storm->s.audio);
    buf_clear(&storm->s.said);
}

static const struct voice_ops storm_ops = {.event = check_event};

/* Any item, or none of this name. */
static struct str any_item(struct storm *storm)
{
    const struct voice *v = storm->s.v;
    size_t skip = v->nitems ? roll(storm, v->nitems + 1) : 0;
    list_each(at, &v->items)
        if (skip-- == 0)
            return str_c(container_of(at, struct item, link)->shown.id);
    return STR("item_nobody");
}

static void sound(struct storm *storm)
{
    struct buf pcm = BUF_INIT(MIB(1));
    struct err e;
    void (*const sounds[])(struct buf *, unsigned, unsigned) = {fake_voice, fake_silence, fake_noise, fake_silence};
    sounds[roll(storm, COUNT(sounds))](&pcm, RATE, MORSEL);
    voice_append(storm->s.v, buf_str(&pcm), &e);
    if (roll(storm, 8) == 0)
        voice_add_audio(storm->s.v, STR(""), STR(""), buf_str(&pcm), &e);
    buf_free(&pcm);
}

static void write_item(struct storm *storm)
{
    struct voice_new_item item = {.after = any_item(storm),
                                  .kind = (enum voice_item_kind)roll(storm, 3),
                                  .text = roll(storm, 2) ? STR("Something to say.") : STR("")};
    struct err e;
    voice_add_item(storm->s.v, &item, &e);
}

static void ask(struct storm *storm)
{
    static const bool yes = true, no = false;
    static const struct voice_new_item input[] = {{.kind = VOICE_ITEM_USER, .text = {"and you", 7}}};
    const bool *audio[] = {NULL, &yes, &no};
    struct voice_ask ask = {.in_conversation = roll(storm, 3) != 0, .audio = audio[roll(storm, 3)]};
    char running[VOICE_ID];
    struct err e;
    if (roll(storm, 3) == 0) {
        ask.input = input;
        ask.ninput = 1;
    }
    voice_respond(storm->s.v, &ask, running, &e);
}

static void change(struct storm *storm)
{
    struct voice_settings *settings = &storm->s.settings;
    struct err e;
    settings->audio = roll(storm, 4) != 0;
    settings->detection = (enum voice_detection)roll(storm, 3);
    settings->create_response = roll(storm, 4) != 0;
    settings->interrupt_response = roll(storm, 4) != 0;
    settings->idle_timeout_ms = (unsigned)roll(storm, 2) * 3;
    assert_int_equal(voice_configure(storm->s.v, settings, &e), 0);
}

static void step(struct storm *storm)
{
    struct voice *v = storm->s.v;
    struct err e;
    uint64_t found;
    switch (roll(storm, 16)) {
    case 0:
        voice_commit(v, &found, &e);
        break;
    case 1:
        voice_clear(v);
        break;
    case 2:
        write_item(storm);
        break;
    case 3:
        voice_delete(v, any_item(storm), &e);
        break;
    case 4:
        voice_truncate(v, any_item(storm), roll(storm, 3000), &e);
        break;
    case 5:
    case 6:
        ask(storm);
        break;
    case 7:
        if (roll(storm, 3) == 0)
            voice_cancel(v, STR(""), &e);
        break;
    case 8:
        storm->paused = roll(storm, 3) == 0;
        voice_pause(v, storm->paused);
        break;
    case 9:
        change(storm);
        break;
    case 10:
    case 11:
        task_sleep(roll(storm, 4), NULL);
        break;
    default:
        sound(storm);
        break;
    }
    fake_stt_release(&storm->s.stt);
    fake_tts_release(&storm->s.tts);
    waitlist_wake_all(&storm->s.env->llm->held);
    if (roll(storm, 3))
        task_yield(NULL);
}

/* What the model says next time. */
static void next_script(struct storm *storm)
{
    static const struct step held[] = {SAY("It was a dark night. A wolf "), HOLD, SAY("came. He was hungry."), DONE},
                             quick[] = {SAY("Yes. No. Perhaps."), USAGE(1, 2), FINISH("stop"), DONE},
                             cut[] = {SAY("Yes and"), FINISH("length"), DONE},
                             failing[] = {SAY("Well, "), FAIL(ERR_UPSTREAM)}, silent[] = {DONE},
                             refused[] = {REFUSE(ERR_OVERLOADED, NULL)}, hanging[] = {SAY("So. "), HANG};
    static const struct step *const scripts[] = {held, quick, cut, failing, silent, refused, hanging, quick};
    storm->s.env->llm->scripts[0] = scripts[roll(storm, COUNT(scripts))];
    storm->s.env->llm->nscripts = 1;
}

/* Everybody answers, and every response has its end. */
static void calm(struct storm *storm)
{
    voice_pause(storm->s.v, storm->paused = false);
    while (!list_empty(&storm->s.v->replies)) {
        struct err e;
        voice_cancel(storm->s.v, STR(""), &e);
        task_yield(NULL);
    }
    task_yield(NULL);
    for (size_t i = 0; i < storm->nresponses; i++)
        assert_true(storm->responses[i].done);
}

static void run_storm(struct env *env, uint64_t seed)
{
    static const struct fake_heard heard[] = {
        {.final = "hello"},
        {.final = "", .held = true},
        {.partials = {"wait", "wait a"}, .partial_ms = 200, .final = "wait a bit"},
        {.fail = ERR_UPSTREAM},
        {.final = "and now", .held = true}};
    static const struct fake_said said[] = {
        {.ms = 300}, {.ms = 5000}, {.held = true, .ms = 700}, {.fail = ERR_UPSTREAM}};
    struct storm *storm = mem_zalloc(sizeof *storm);
    struct voice_call *s = &storm->s;
    session_init(s, env);
    storm->seed = seed;
    fake_stt_init(&s->stt, heard, COUNT(heard));
    fake_tts_init(&s->tts, said, roll(storm, COUNT(said)) + 1);
    s->policy.max_items = 12;
    s->policy.interrupt_min_ms = (unsigned)roll(storm, 3) * 5;
    s->policy.resume = roll(storm, 3) != 0;
    s->policy.interrupt_thinking = roll(storm, 3) != 0;
    s->policy.stall_timeout_ms = roll(storm, 2) ? 5 : 60000;
    s->v = voice_new(env->chat, &s->policy, &s->settings, &storm_ops, storm);
    for (unsigned i = 0; i < STEPS; i++) {
        next_script(storm);
        step(storm);
    }
    if (seed % 2)
        calm(storm);
    session_end(s);
    while (task_count() > 1) /* what runs uses the scripts until it ends */
        task_sleep(1, NULL);
    assert_int_equal(atomic_load(&s->stt.open), 0);
    assert_int_equal(atomic_load(&s->tts.open), 0);
    assert_int_equal(atomic_load(&env->llm->open), 0);
    free(storm);
}

static void any_order_of_calls(struct env *env)
{
    atomic_store(&env->llm->nrequests, SCRIPTED_MAX); /* requests are not kept */
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_storm(env, seed);
    assert_int_equal(outcomes[VOICE_RESPONSE_RUNNING], 0);
    for (size_t i = VOICE_RESPONSE_COMPLETED; i < COUNT(outcomes); i++)
        assert_true(outcomes[i] > 0);
    for (size_t i = 0; i < VOICE_ENDED; i++)
        assert_true(kinds[i] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {ENV_TEST(any_order_of_calls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
