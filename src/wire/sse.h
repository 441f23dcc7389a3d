/* Server-sent events (WHATWG HTML, section 9.2), both directions; pure. */
#ifndef WIRE_SSE_H
#define WIRE_SSE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Reader: survives any split of bytes; \n, \r\n and \r line ends; comments; a leading BOM. Zero the struct, then
 * sse_reader_init. */
struct sse_reader {
    struct buf line;  /* an incomplete line */
    struct buf data;  /* of the event under way, when it has several data lines or was split */
    struct buf event, id;
    bool has_data, cr, begun;
};

struct sse_event {
    struct str data; /* lines joined by \n; valid until the next call */
    struct str event; /* "" when not named */
    struct str id;    /* last id seen, "" when none */
};

/* max_event bounds one event: beyond it sse_next fails. */
void sse_reader_init(struct sse_reader *r, size_t max_event);
void sse_reader_free(struct sse_reader *r);
/* Takes bytes from *in (advancing it) until one event is complete: 1 and *event; 0 when more is needed (all of *in was
 * taken); -1 with *e past the ceiling. An event whose one data line lies whole in *in costs no copy. */
int sse_next(struct sse_reader *r, struct str *in, struct sse_event *event, struct err *e);
/* At the end of the stream: 1 and the event that lacked its blank line, if it has data; 0 otherwise. Lenient on
 * purpose: some upstreams close right behind the last line. */
int sse_end(struct sse_reader *r, struct sse_event *event);

/* Writer: one event; id and event may be empty. Line breaks in data become several data lines. -1 past the ceiling. */
int sse_put(struct buf *out, struct str id, struct str event, struct str data);
int sse_put_comment(struct buf *out, struct str text);

#endif
