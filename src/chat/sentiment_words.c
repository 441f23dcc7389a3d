/* A message cut into words, emojis and emoticons, with where its clauses and sentences end. */
#include "base/macros.h"
#include "base/utf8.h"
#include "chat/sentiment_impl.h"
#include "chat/word.h"

#define EMOJI_FIRST 0x2600U

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_number(struct str word)
{
    static const char *const names[] = {"one",     "two",   "three",  "four",   "five",   "six",
                                        "seven",   "eight", "nine",   "ten",    "eleven", "twelve",
                                        "fifteen", "few",   "twenty", "thirty", "many",   "several"};
    if (is_digit(word.p[0]))
        return true;
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_eqc(word, names[i]))
            return true;
    return false;
}

static void end_clause(struct sentiment_words *w)
{
    if (w->ntokens && w->tokens[w->ntokens - 1].clause == w->clause)
        w->clause++;
}

static void end_sentence(struct sentiment_words *w, bool question)
{
    for (size_t i = w->ntokens; question && i > 0 && w->tokens[i - 1].sentence == w->sentence; i--)
        w->tokens[i - 1].question = true;
    end_clause(w);
    if (w->ntokens && w->tokens[w->ntokens - 1].sentence == w->sentence)
        w->sentence++;
}

/* Takes what was written to text since `at`. */
static void end_token(struct sentiment_words *w, size_t at, size_t small, size_t capitals)
{
    struct str word = {w->text + at, w->ntext - at};
    if (word.n == 0 || w->ntokens == SENTIMENT_TOKENS)
        return;
    bool shouted = capitals >= 3 && small == 0;
    w->tokens[w->ntokens++] = (struct sentiment_token){.at = (uint16_t)at,
                                                       .n = (uint16_t)word.n,
                                                       .clause = w->clause,
                                                       .sentence = w->sentence,
                                                       .number = is_number(word),
                                                       .capitals = shouted};
    w->capitals += shouted;
    w->small += small >= 3;
}

/* An apostrophe between two letters, "don't", as ' or as U+2019: how many bytes it has. */
static size_t inner_apostrophe(struct str rest)
{
    size_t n = rest.n > 1 && rest.p[0] == '\'' ? 1 : rest.n > 3 && memcmp(rest.p, "\xe2\x80\x99", 3) == 0 ? 3 : 0;
    return n && !word_ends(str_from(rest, n)) ? n : 0;
}

static struct str split_word(struct sentiment_words *w, struct str rest)
{
    size_t at = w->ntext, small = 0, capitals = 0;
    while (rest.n) {
        size_t skip = inner_apostrophe(rest);
        if (skip && w->ntext > at) {
            w->text[w->ntext++] = '\'';
            rest = str_from(rest, skip);
        }
        struct str before = rest;
        if (!word_char(word_char_next(&rest))) {
            rest = before;
            break;
        }
        for (; before.p < rest.p; before = str_from(before, 1)) {
            char c = before.p[0];
            bool capital = c >= 'A' && c <= 'Z';
            capitals += capital;
            small += c >= 'a' && c <= 'z';
            w->text[w->ntext++] = capital ? (char)(c + 32) : c;
        }
    }
    end_token(w, at, small, capitals);
    return rest;
}

/* :) :-) :( :D ;) and so on, as a word ":)" ":(" ";)": the bytes it took; 0 when there is none. */
static size_t emoticon(struct sentiment_words *w, struct str rest)
{
    size_t n = rest.n > 2 && rest.p[1] == '-' ? 2 : 1;
    if ((rest.p[0] != ':' && rest.p[0] != ';') || rest.n <= n || !strchr(")(D", rest.p[n]))
        return 0;
    if (rest.p[n] == 'D' && !word_ends(str_from(rest, n + 1)))
        return 0;
    size_t at = w->ntext;
    w->text[w->ntext++] = rest.p[0];
    w->text[w->ntext++] = rest.p[n] == 'D' ? ')' : rest.p[n];
    end_token(w, at, 0, 0);
    return n + 1;
}

static void split_mark(struct sentiment_words *w, struct str mark, uint32_t c)
{
    switch (c) {
    case '!':
        w->exclamations++;
        end_sentence(w, false);
        return;
    case '.':
    case '\n':
    case 0x2026: /* … */
        end_sentence(w, false);
        return;
    case '?':
        end_sentence(w, true);
        return;
    case ',':
    case ';':
    case ':':
    case '(':
    case ')':
    case 0x2013: /* dashes */
    case 0x2014:
        end_clause(w);
        return;
    default:
        break;
    }
    bool joins = (c >= 0xFE00 && c <= 0xFE0F) || (c >= 0x1F3FB && c <= 0x1F3FF); /* variants and skin tones */
    if (c < EMOJI_FIRST || joins)
        return;
    memcpy(w->text + w->ntext, mark.p, mark.n);
    w->ntext += mark.n;
    end_token(w, w->ntext - mark.n, 0, 0);
}

static void split_piece(struct sentiment_words *w, struct str rest)
{
    while (rest.n) {
        struct str from = rest;
        uint32_t c = word_char_next(&rest);
        if (word_char(c)) {
            rest = split_word(w, from);
            continue;
        }
        size_t face = emoticon(w, from);
        if (face)
            rest = str_from(from, face);
        else
            split_mark(w, (struct str){from.p, (size_t)(rest.p - from.p)}, c);
    }
    end_sentence(w, false);
}

void sentiment_split(struct str message, struct sentiment_words *w)
{
    w->ntext = w->ntokens = 0;
    w->exclamations = w->small = w->capitals = 0;
    w->clause = w->sentence = 0;
    if (message.n <= SENTIMENT_TEXT) {
        split_piece(w, message);
        return;
    }
    struct str end = str_from(message, message.n - SENTIMENT_TEXT / 2);
    while (end.n && ((unsigned char)end.p[0] & 0xC0) == 0x80)
        end = str_from(end, 1);
    split_piece(w, (struct str){message.p, utf8_whole(message.p, SENTIMENT_TEXT / 2)});
    split_piece(w, end);
}
