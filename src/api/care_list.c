/* GET /api/conversations of a user: all of them, sent as they are read, or page by page. */
#include "api/care_impl.h"
#include "wire/url.h"

#define PAGE_MOST 200 /* conversations of a page that a client asks for: it is made before it is sent */

int care_limit(struct http_request *rq, unsigned most, unsigned *limit)
{
    struct str text = http_request_query(rq, STR("limit"));
    uint64_t value = 0;
    struct err e;
    *limit = 0;
    if (!text.p)
        return 0;
    if (str_u64(text, &value) == 0 && value > 0 && value <= most) {
        *limit = (unsigned)value;
        return 0;
    }
    err_set(&e, ERR_INVALID_REQUEST, "'limit' must be a number from 1 to %u", most);
    http_reply_error(rq, &e);
    return -1;
}

void care_next_page(struct http_request *rq, struct str query, const char *name, struct str next)
{
    struct buf link = BUF_INIT(KIB(16));
    if (next.n == 0)
        return;
    buf_addf(&link, "<%.*s?%.*s%s=", STR_ARG(rq->head->path), STR_ARG(query), name);
    url_put_encoded(&link, next);
    buf_lit(&link, ">; rel=\"next\"");
    http_reply_header(rq, STR("X-Next-Cursor"), arena_str(rq->arena, next));
    http_reply_header(rq, STR("Link"), arena_str(rq->arena, buf_str(&link)));
    buf_free(&link);
}

struct listing {
    struct http_request *rq;
    const struct user *user;
    struct care_list query;
    struct jw *page; /* NULL: sent as it is read */
};

static void begin_list(struct http_request *rq, struct buf *out)
{
    if (http_replied(rq))
        return;
    http_stream_begin(rq, 200, STR("application/json; charset=utf-8"));
    buf_byte(out, '[');
}

static int put_one(void *arg, const struct care_view *view, struct err *e)
{
    struct listing *l = arg;
    struct arena *scratch = arena_new("care_list_item");
    (void)e;
    put_care_document(l->page, view, l->user, scratch, NULL);
    arena_free(scratch);
    return 0;
}

static int send_one(void *arg, const struct care_view *view, struct err *e)
{
    struct listing *l = arg;
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct jw w = jw_begin(&out);
    struct arena *scratch = arena_new("care_list_item");
    w.comma = http_replied(l->rq);
    begin_list(l->rq, &out);
    put_care_document(&w, view, l->user, scratch, NULL);
    arena_free(scratch);
    int result = http_stream_write(l->rq, buf_str(&out), e);
    buf_free(&out);
    return result;
}

static void end_list(struct http_request *rq)
{
    struct buf out = BUF_INIT(KIB(1));
    struct err e;
    begin_list(rq, &out);
    buf_byte(&out, ']');
    if (http_stream_write(rq, buf_str(&out), &e) == 0)
        http_stream_end(rq);
    buf_free(&out);
}

static void refuse(struct http_request *rq, struct err *e)
{
    care_refuse(rq, e, "Failed to fetch conversations");
}

/* A list that cannot be read to its end is cut: the client sees that it is not whole. */
static void send_all(struct listing *l)
{
    struct str next;
    struct err e;
    l->query.each = send_one;
    if (care_list(api_of(l->rq)->care, &l->query, l->rq->arena, &next, &e) == 0)
        end_list(l->rq);
    else if (!http_replied(l->rq))
        refuse(l->rq, &e);
}

static struct str page_query(const struct listing *l)
{
    struct buf query = BUF_INIT(KIB(16));
    if (l->query.agent_id.n) {
        buf_lit(&query, "agentId=");
        url_put_encoded(&query, l->query.agent_id);
        buf_byte(&query, '&');
    }
    buf_addf(&query, "limit=%u&", l->query.limit);
    struct str text = arena_str(l->rq->arena, buf_str(&query));
    buf_free(&query);
    return text;
}

static void send_page(struct listing *l)
{
    struct http_request *rq = l->rq;
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    struct str next;
    struct err e;
    l->page = &w;
    l->query.each = put_one;
    jw_arr(&w);
    if (care_list(api_of(rq)->care, &l->query, rq->arena, &next, &e) < 0) {
        refuse(rq, &e);
        return;
    }
    jw_end_arr(&w);
    care_next_page(rq, page_query(l), "cursor", next);
    http_reply_jw(rq, 200, &w);
}

void care_get_all(struct http_request *rq)
{
    struct user user;
    struct listing l = {.rq = rq, .user = &user, .query = {.messages = STORE_ALL}};
    if (care_guard(rq, &user) < 0 || care_limit(rq, PAGE_MOST, &l.query.limit) < 0)
        return;
    l.query.owner = user.id;
    l.query.agent_id = http_request_query(rq, STR("agentId"));
    l.query.cursor = http_request_query(rq, STR("cursor"));
    l.query.arg = &l;
    if (l.query.limit == 0 && l.query.cursor.n)
        l.query.limit = PAGE_MOST;
    if (l.query.limit)
        send_page(&l);
    else
        send_all(&l);
}
