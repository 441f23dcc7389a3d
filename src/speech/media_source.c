#include "speech/media_source.h"

#include "base/mem.h"

#define PIECE KIB(32)

void media_source_init(struct media_source *s, struct media_io *io)
{
    *s = (struct media_source){.io = io};
    buf_init(&s->held, SIZE_MAX);
}

void media_source_free(struct media_source *s)
{
    buf_free(&s->held);
}

/* Takes one more piece into held. False at the end. */
static bool hold_more(struct media_source *s)
{
    if (s->ended || s->gone)
        return false;
    ssize_t got = s->io->read(s->io, buf_reserve(&s->held, PIECE), PIECE);
    s->ended = got == 0;
    s->gone = got < 0;
    if (got <= 0)
        return false;
    buf_commit(&s->held, (size_t)got);
    return true;
}

struct str media_source_peek(struct media_source *s, size_t n)
{
    while (s->held.len < n && hold_more(s))
        ;
    return buf_str(&s->held);
}

void media_source_skip(struct media_source *s, size_t n)
{
    do {
        size_t now = MIN(n, s->held.len);
        buf_consume(&s->held, now);
        n -= now;
    } while (n && hold_more(s));
}

static size_t read_held(struct media_source *s, void *to, size_t n)
{
    struct str rest = str_from(buf_str(&s->held), s->at);
    n = MIN(n, rest.n);
    if (n)
        memcpy(to, rest.p, n);
    if (s->whole)
        s->at += n;
    else
        buf_consume(&s->held, n);
    return n;
}

ssize_t media_source_read(struct media_source *s, void *to, size_t n)
{
    if (s->held.len || s->whole)
        return (ssize_t)read_held(s, to, n);
    if (s->ended || s->gone)
        return s->gone ? -1 : 0;
    ssize_t got = s->io->read(s->io, to, n);
    s->ended = got == 0;
    s->gone = got < 0;
    return got;
}

ssize_t media_source_samples(struct media_source *s, int16_t *to, size_t n)
{
    char *bytes = (char *)to;
    size_t have = 0;
    if (s->halved)
        bytes[have++] = s->half;
    while (have < sizeof *to) {
        ssize_t got = media_source_read(s, bytes + have, n * sizeof *to - have);
        if (got <= 0)
            return got;
        have += (size_t)got;
    }
    s->halved = have % sizeof *to != 0;
    if (s->halved)
        s->half = bytes[have - 1];
    return (ssize_t)(have / sizeof *to);
}

bool media_source_whole(struct media_source *s, size_t max)
{
    while (s->held.len <= max && hold_more(s))
        ;
    s->whole = true;
    return s->held.len <= max;
}

int media_source_seek(struct media_source *s, int64_t to)
{
    if (!s->whole || to < 0 || (uint64_t)to > s->held.len)
        return -1;
    s->at = (size_t)to;
    return 0;
}
