/* What was said in a session, and how much of it was heard. */
#include "base/mem.h"
#include "base/rand.h"
#include "base/utf8.h"
#include "chat/voice_impl.h"

#include <stdlib.h>

#define SPOKEN_MAX  4096 /* sentences of an item whose place in the audio is kept apart */
#define MS_PER_BYTE 65   /* of English, spoken: for a sentence whose audio is not complete */
#define WORD_MAX    32   /* bytes; a cut inside of a longer word stays where it is */

void voice_id(char out[VOICE_ID], const char *prefix)
{
    unsigned char bytes[12];
    size_t n = str_copy(out, VOICE_ID, str_c(prefix));
    rand_bytes(bytes, sizeof bytes);
    hex_encode(out + n, bytes, sizeof bytes);
}

struct item *voice_item_new(struct voice *v, enum voice_item_kind kind, struct str id, bool audio)
{
    struct item *item = mem_zalloc(sizeof *item);
    item->shown = (struct voice_item){.kind = kind, .status = VOICE_IN_PROGRESS, .audio = audio, .text = STR("")};
    item->voice = v;
    if (id.n)
        str_copy(item->shown.id, VOICE_ID, id);
    else
        voice_id(item->shown.id, "item_");
    buf_init(&item->text, VOICE_ITEM_TEXT);
    list_init(&item->link);
    return item;
}

void voice_item_free(struct voice *v, struct item *item)
{
    if (!item)
        return;
    if (item->input) {
        voice_input_free(item->input);
        v->added--;
    }
    if (!list_empty(&item->link) && item->placed)
        v->nitems--;
    list_remove(&item->link);
    buf_free(&item->text);
    free(item->spoken);
    free(item->failure);
    free(item);
}

struct item *voice_item_find(const struct voice *v, struct str id)
{
    list_each(at, &v->items) {
        struct item *item = container_of(at, struct item, link);
        if (str_eqc(id, item->shown.id))
            return item;
    }
    return NULL;
}

struct item *voice_item_heard(struct voice *v, uint64_t utterance)
{
    struct list *const lists[] = {&v->unplaced, &v->items};
    for (size_t i = 0; utterance && i < COUNT(lists); i++)
        list_each(at, lists[i]) {
            struct item *item = container_of(at, struct item, link);
            if (item->utterance == utterance)
                return item;
        }
    return NULL;
}

const char *voice_item_previous(const struct voice *v, const struct item *item)
{
    const struct list *before = item->link.prev;
    return item->placed && before != &v->items ? container_of(before, struct item, link)->shown.id : NULL;
}

static size_t text_of_all(const struct voice *v)
{
    size_t bytes = 0;
    list_each(at, &v->items)
        bytes += container_of(at, struct item, link)->text.len;
    return bytes;
}

/* The oldest go first; what is still being made stays. */
static void forget(struct voice *v, const struct item *newest)
{
    size_t most = v->policy->max_items ? v->policy->max_items : VOICE_ITEMS, bytes = text_of_all(v);
    list_each_safe(at, &v->items) {
        struct item *item = container_of(at, struct item, link);
        if (v->nitems <= most && bytes <= VOICE_ITEMS_TEXT)
            return;
        if (item == newest || item->shown.status == VOICE_IN_PROGRESS || item->recognizing)
            continue;
        bytes -= item->text.len;
        voice_item_free(v, item);
    }
}

void voice_item_place(struct voice *v, struct item *item, struct str after)
{
    struct item *before = after.n ? voice_item_find(v, after) : NULL;
    list_remove(&item->link);
    if (before)
        list_insert_before(before->link.next, &item->link);
    else if (str_eqc(after, "root"))
        list_push_front(&v->items, &item->link);
    else
        list_push_back(&v->items, &item->link);
    item->placed = true;
    v->nitems++;
    forget(v, item);
}

void voice_item_set_text(struct item *item, struct str text)
{
    if (text.n > VOICE_ITEM_TEXT)
        text.n = utf8_floor(text.p, VOICE_ITEM_TEXT);
    buf_clear(&item->text);
    buf_str_add(&item->text, text);
    voice_item_show(item, text.n);
}

void voice_item_show(struct item *item, size_t n)
{
    item->shown.text = str_n(buf_str(&item->text).p, MIN(n, item->text.len));
}

static struct spoken *last_spoken(const struct item *item)
{
    return item->spoken && item->nspoken ? &item->spoken[item->nspoken - 1] : NULL;
}

static struct spoken *new_spoken(struct item *item, const struct piece *piece, uint64_t at_ms)
{
    size_t n = item->nspoken;
    struct spoken *before = last_spoken(item);
    if (before)
        before->whole = true;
    if (before && n == SPOKEN_MAX) {
        before->to = piece->to;
        return before;
    }
    if ((n & (n - 1)) == 0)
        item->spoken = mem_realloc(item->spoken, (n ? 2 * n : 1) * sizeof *item->spoken);
    item->spoken[n] = (struct spoken){.from = piece->from, .to = piece->to, .at_ms = at_ms};
    item->nspoken++;
    return &item->spoken[n];
}

void voice_item_spoke(struct item *item, const struct piece *piece, uint64_t at_ms, uint64_t ms)
{
    struct spoken *last = last_spoken(item);
    if (piece->first || !last || last->whole)
        last = new_spoken(item, piece, at_ms);
    last->ms += ms;
}

void voice_item_all_spoken(struct item *item)
{
    struct spoken *last = last_spoken(item);
    if (last)
        last->whole = true;
}

/* Words end at spaces; from U+3000 on, every character is one. */
static bool ends_word(char c)
{
    return c == ' ' || c == '\n' || (unsigned char)c >= 0xE3;
}

/* The end of a word at or before `at`, not before `from`. */
static size_t word_end(struct str text, size_t from, size_t at)
{
    if (at >= text.n)
        return text.n;
    size_t cut = utf8_floor(text.p, at), end = cut;
    while (end > from && cut - end < WORD_MAX && !ends_word(text.p[end]))
        end--;
    return end == from || ends_word(text.p[end]) ? end : cut;
}

static size_t share(const struct item *item, const struct spoken *s, uint64_t ms)
{
    uint64_t length = s->whole ? s->ms : MAX(s->ms, (uint64_t)(s->to - s->from) * MS_PER_BYTE);
    if (ms >= length)
        return s->to;
    return word_end(buf_str(&item->text), s->from, s->from + (size_t)((s->to - s->from) * ms / length));
}

size_t voice_item_fits(const struct item *item, uint64_t ms)
{
    struct str text = buf_str(&item->text);
    size_t fits = 0;
    for (size_t i = 0; i < item->nspoken && item->spoken[i].at_ms < ms; i++)
        fits = MAX(fits, share(item, &item->spoken[i], ms - item->spoken[i].at_ms));
    /* Behind the last sentence there may be signs that nobody speaks. */
    const struct spoken *last = last_spoken(item);
    if (last && last->whole && last->at_ms + last->ms <= ms)
        return item->text.len;
    struct str heard = str_trim(str_n(text.p, fits));
    return (size_t)(heard.p - text.p) + heard.n;
}

struct spoken *voice_item_at(const struct item *item, uint64_t ms)
{
    for (size_t i = 0; i < item->nspoken; i++)
        if (ms < item->spoken[i].at_ms + item->spoken[i].ms)
            return &item->spoken[i];
    return NULL;
}

void voice_item_unspeak(struct item *item, uint64_t ms)
{
    size_t n = 0;
    while (n < item->nspoken && item->spoken[n].at_ms < ms)
        n++;
    item->nspoken = n;
    struct spoken *last = last_spoken(item);
    if (!last || last->at_ms + last->ms <= ms)
        return;
    last->to = share(item, last, ms - last->at_ms);
    last->ms = ms - last->at_ms;
    last->whole = true;
}
