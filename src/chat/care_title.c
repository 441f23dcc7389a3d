/* Titles by the model. */
#include "base/utf8.h"
#include "chat/care_impl.h"

#define TEXT_MAX  KIB(1) /* of one message */
#define TITLE_MAX 100    /* bytes, and … */
#define WORDS_MAX 12     /* … words: what is longer is no title but a reply */

static void add_line(struct buf *text, const char *who, struct str said)
{
    if (said.n > TEXT_MAX)
        said.n = utf8_floor(said.p, TEXT_MAX);
    buf_addf(text, "%s: ", who);
    buf_str_add(text, said);
    buf_byte(text, '\n');
}

struct care_question care_title_question(const struct care_talk *talk, struct str conversation_id, struct arena *arena)
{
    struct buf text = BUF_INIT(LIMIT_MESSAGE_TEXT);
    for (size_t i = 0; i < talk->n; i++) {
        const struct message *m = &talk->messages[i];
        if (m->content.n && !str_eqc(m->role, "system"))
            add_line(&text, str_eqc(m->role, "user") ? "Customer" : "Agent", m->content);
    }
    if (talk->more.n)
        add_line(&text, "Customer", talk->more);
    struct care_question question = {.prompt = care_prompt_title,
                                     .text = arena_str(arena, buf_str(&text)),
                                     .conversation_id = conversation_id,
                                     .temperature = 0.7,
                                     .max_tokens = 20};
    buf_free(&text);
    return question;
}

static size_t words_of(struct str text)
{
    size_t words = 0;
    struct str word;
    while (str_split(&text, ' ', &word))
        words += word.n > 0;
    return words;
}

/* Something that was said to somebody, rather than a name for it. */
static bool is_speech(struct str text)
{
    return str_find_char(text, '!') >= 0 || str_find_char(text, '?') >= 0 || str_find(text, STR(". ")) >= 0;
}

struct str care_title_of_answer(struct str answer, struct arena *arena)
{
    struct str title = care_title_clean(answer, arena);
    return title.n <= TITLE_MAX && words_of(title) <= WORDS_MAX && !is_speech(title) ? title : STR("");
}

/* Before the customer said anything, there is nothing to name. */
static bool has_user(const struct care_talk *talk)
{
    for (size_t i = 0; i < talk->n; i++)
        if (str_eqc(talk->messages[i].role, "user"))
            return true;
    return false;
}

struct str care_title_now(struct care *care, const struct conversation *c, struct arena *arena)
{
    size_t n = MIN(c->nmessages, (size_t)CARE_TALK);
    struct care_talk talk = {.messages = c->messages + (c->nmessages - n), .n = n};
    struct care_question question = care_title_question(&talk, c->id, arena);
    struct str answer, title = STR("");
    if (has_user(&talk) && care_ask(care, &question, arena, &answer, NULL) == 0)
        title = care_title_of_answer(answer, arena);
    return title.n ? title : STR(CARE_TITLE_FALLBACK);
}
