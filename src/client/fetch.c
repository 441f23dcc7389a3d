#include "client/fetch.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/multi.h"
#include "client/retry.h"
#include "client/upstream_impl.h"

#include <stdlib.h>

#define UNREAD_PAUSE  KIB(256)
#define UNREAD_RESUME KIB(64)
#define HEAD_MAX      KIB(64)
#define FINISH_MS     1000 /* for the end of a body that nobody reads any more */

enum fetch_phase {
    FETCH_IDLE, /* between attempts: nothing is under way */
    FETCH_HEAD, /* the request is on its way; status and headers are not complete */
    FETCH_BODY, /* they are; body bytes arrive */
    FETCH_ENDED /* libcurl is through with it, `result` says how, or `late` is set */
};

struct fetch {
    struct transfer transfer;
    struct loop *loop;
    struct upstream_local *local;
    enum fetch_phase phase;
    CURLcode result;
    int status;
    bool paused;
    bool late;         /* a deadline passed: the transfer was stopped */
    bool detached;     /* nobody reads any more: it ends by itself, soon */
    bool retry_safe;   /* the last attempt's request surely never reached the upstream */
    unsigned quiet_ms; /* longest silence; 0: any */
    uint64_t heard_ms; /* when the attempt began, then of the last bytes */
    uint64_t due_ms;   /* end of the whole exchange; 0: none */
    struct timer watchdog;
    struct task *waiter;
    struct buf head; /* header lines of the final reply */
    struct buf in;   /* body bytes nobody has read */
    struct buf out;  /* the piece being read */
    struct buf body; /* of the request */
    char *url;
    struct curl_slist *headers;
};

/* The only writer of f->phase. */
static void enter(struct fetch *f, enum fetch_phase next)
{
    f->phase = next;
    if (next == FETCH_ENDED || next == FETCH_IDLE)
        timer_stop(f->loop, &f->watchdog);
}

static void wake(struct fetch *f)
{
    if (f->waiter)
        task_wake(f->waiter);
}

static void stop(struct fetch *f)
{
    multi_remove(&f->transfer);
    enter(f, FETCH_ENDED);
}

/* When the exchange is late unless something arrives first; 0: never. */
static uint64_t watchdog_due(const struct fetch *f)
{
    uint64_t quiet = f->quiet_ms && !f->paused ? f->heard_ms + f->quiet_ms : 0;
    if (quiet && f->due_ms)
        return MIN(quiet, f->due_ms);
    return quiet ? quiet : f->due_ms;
}

static void watchdog_set(struct fetch *f)
{
    uint64_t due = watchdog_due(f), now = loop_now_ms(f->loop);
    if (due)
        timer_start(f->loop, &f->watchdog, due > now ? due - now : 0);
}

/* Bytes only note the time; the timer is moved when it fires, so a stream of tokens never touches it. */
static void on_watchdog(struct timer *timer)
{
    struct fetch *f = container_of(timer, struct fetch, watchdog);
    if (loop_now_ms(f->loop) < watchdog_due(f) || !watchdog_due(f)) {
        watchdog_set(f);
        return;
    }
    f->late = true;
    stop(f);
    if (f->detached)
        fetch_close(f);
    else
        wake(f);
}

static void on_done(struct transfer *transfer, CURLcode result)
{
    struct fetch *f = container_of(transfer, struct fetch, transfer);
    f->result = result;
    enter(f, FETCH_ENDED);
    if (f->detached)
        fetch_close(f);
    else
        wake(f);
}

size_t fetch_on_header(char *line, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;
    struct str text = {line, size * n};
    if (f->phase != FETCH_HEAD) /* trailers */
        return text.n;
    if (str_starts(text, STR("HTTP/")))
        buf_clear(&f->head);
    else if (buf_str_add(&f->head, text) < 0)
        return 0;
    if (str_trim(text).n > 0)
        return text.n;
    long status = 0;
    curl_easy_getinfo(f->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) /* interim: the final one follows */
        return text.n;
    f->status = (int)status;
    f->heard_ms = loop_now_ms(f->loop);
    enter(f, FETCH_BODY);
    wake(f);
    return text.n;
}

size_t fetch_on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;
    n *= size;
    if (f->detached)
        return n;
    if (f->in.len + f->out.len > UNREAD_PAUSE) {
        f->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    buf_add(&f->in, bytes, n);
    f->heard_ms = loop_now_ms(f->loop);
    wake(f);
    return n;
}

static bool head_there(const struct fetch *f)
{
    return f->phase >= FETCH_BODY;
}

static bool body_there(const struct fetch *f)
{
    return f->in.len > 0 || f->phase == FETCH_ENDED;
}

/* A short body is there as a whole, or as much of it as matters. */
static bool body_whole(const struct fetch *f)
{
    return f->phase == FETCH_ENDED || f->in.len >= UNREAD_RESUME;
}

static int wait_until(struct fetch *f, bool (*there)(const struct fetch *f), struct err *e)
{
    int result = 0;
    f->waiter = task_self();
    while (!there(f) && result == 0)
        result = task_park(e);
    f->waiter = NULL;
    return result;
}

bool headers_clean(const struct fetch_header *headers, size_t n, struct str path)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < headers[i].value.n; k++)
            if ((unsigned char)headers[i].value.p[k] < 0x20 && headers[i].value.p[k] != '\t')
                return false;
    for (size_t k = 0; k < path.n; k++)
        if ((unsigned char)path.p[k] <= 0x20 || path.p[k] == 0x7f)
            return false;
    return true;
}

static struct curl_slist *header_list(const struct fetch_request *rq)
{
    struct buf line = BUF_INIT(HEAD_MAX);
    /* No "Expect: 100-continue" round trip, no guessed type. */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; i < rq->nheaders; i++) {
        buf_clear(&line);
        if (buf_addf(&line, "%s: ", rq->headers[i].name) < 0 || buf_str_add(&line, rq->headers[i].value) < 0)
            continue;
        list = curl_slist_append(list, buf_cstr(&line));
    }
    buf_free(&line);
    return list;
}

static struct fetch *fetch_new(struct upstream_local *local, const struct fetch_request *rq)
{
    const struct upstream_config *config = &local->upstream->config;
    struct fetch *f = mem_zalloc(sizeof *f);
    f->loop = loop_self();
    f->local = local;
    f->transfer.done = on_done;
    f->watchdog.fn = on_watchdog;
    buf_init(&f->head, HEAD_MAX);
    buf_init(&f->in, SIZE_MAX);
    buf_init(&f->out, SIZE_MAX);
    buf_init(&f->body, SIZE_MAX);
    buf_str_add(&f->body, rq->body);
    struct buf url = BUF_INIT(SIZE_MAX);
    buf_str_add(&url, str_c(config->base_url));
    buf_str_add(&url, rq->path);
    f->url = str_dup(buf_str(&url));
    buf_free(&url);
    f->headers = header_list(rq);
    f->quiet_ms = rq->first_byte_timeout ? rq->first_byte_timeout : config->first_byte_timeout;
    unsigned total = rq->total_timeout ? rq->total_timeout : config->total_timeout;
    f->due_ms = total ? loop_now_ms(f->loop) + total : 0;
    return f;
}

static void set_method(struct fetch *f, const char *method)
{
    CURL *easy = f->transfer.easy;
    curl_easy_setopt(easy, CURLOPT_NOBODY, 0L);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
    if (f->body.len || strcmp(method, "POST") == 0) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, buf_str(&f->body).p);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (strcmp(method, "POST") != 0 && (f->body.len || strcmp(method, "GET") != 0))
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static void attempt_begin(struct fetch *f, const char *method)
{
    buf_clear(&f->head);
    buf_clear(&f->in);
    f->status = 0;
    f->result = CURLE_OK;
    f->late = f->paused = false;
    CURL *easy = f->transfer.easy = upstream_easy(f->local);
    set_method(f, method);
    curl_easy_setopt(easy, CURLOPT_URL, f->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, f->headers);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, &f->transfer);
    f->heard_ms = loop_now_ms(f->loop);
    enter(f, FETCH_HEAD);
    watchdog_set(f);
    multi_add(&f->transfer);
}

static void attempt_end(struct fetch *f)
{
    if (!f->transfer.easy)
        return;
    stop(f);
    upstream_easy_return(f->local, f->transfer.easy);
    f->transfer.easy = NULL;
    enter(f, FETCH_IDLE);
}

/* It will not verify the next time either. */
static bool distrusted(const struct fetch *f)
{
    return f->result == CURLE_PEER_FAILED_VERIFICATION || f->result == CURLE_SSL_CACERT_BADFILE;
}

/* Why there is no reply. */
static int no_reply(struct fetch *f, struct err *e)
{
    const char *name = upstream_name(f->local->upstream);
    curl_off_t connected = 0;
    curl_easy_getinfo(f->transfer.easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
    f->retry_safe = connected == 0 && !f->late && !distrusted(f);
    if (f->late)
        return err_set(e, ERR_TIMEOUT, "%s did not answer in time", name);
    if (distrusted(f))
        return err_set(e, ERR_UPSTREAM_UNREACHABLE, "The certificate of %s cannot be verified", name);
    return err_set(e, ERR_UPSTREAM_UNREACHABLE, "%s cannot be reached: %s", name, curl_easy_strerror(f->result));
}

/* One attempt, until its status and headers are there: 0, or -1 with *e. */
static int attempt(struct fetch *f, const char *method, struct err *e)
{
    struct breaker *breaker = &f->local->breaker;
    uint64_t began = clock_mono_ns();
    f->retry_safe = false;
    if (!breaker_admit(breaker, loop_now_ms(f->loop)))
        return upstream_refuse(f->local, e);
    attempt_begin(f, method);
    if (wait_until(f, head_there, e) < 0) {
        breaker_abandon(breaker, loop_now_ms(f->loop));
        return -1;
    }
    if (f->status == 0) {
        breaker_failure(breaker, loop_now_ms(f->loop));
        return no_reply(f, e);
    }
    metric_observe(f->local->upstream->first_byte, clock_mono_ns() - began);
    if (f->status >= 500)
        breaker_failure(breaker, loop_now_ms(f->loop));
    else
        breaker_success(breaker);
    return 0;
}

static struct retry_reply reply_of(const struct fetch *f)
{
    return (struct retry_reply){f->status, fetch_header(f, "x-should-retry"), fetch_header(f, "retry-after-ms"),
                                fetch_header(f, "retry-after")};
}

/* A 429 that means "no credit" is told apart only by its body. */
static bool out_of_quota(struct fetch *f)
{
    if (f->status != 429 || wait_until(f, body_whole, NULL) < 0)
        return false;
    return str_find(buf_str(&f->in), STR("insufficient_quota")) >= 0;
}

/* How long to wait before the next attempt; -1: the last one stands. */
static int64_t next_delay(struct fetch *f, int result, bool idempotent, unsigned attempt_number, const struct err *e)
{
    int64_t delay = (int64_t)retry_backoff_ms(attempt_number);
    if (attempt_number >= f->local->upstream->config.retries)
        return -1;
    if (result < 0) {
        bool lost = e->code == ERR_UPSTREAM_UNREACHABLE && !distrusted(f);
        if (!f->retry_safe && !(idempotent && lost))
            return -1;
    } else {
        struct retry_reply reply = reply_of(f);
        if (!retry_wanted(&reply) || out_of_quota(f))
            return -1;
        int64_t asked = retry_asked_ms(&reply, clock_wall_ms());
        if (asked >= 0)
            delay = asked;
    }
    if (delay > RETRY_LONGEST_MS || !breaker_ready(&f->local->breaker, loop_now_ms(f->loop) + (uint64_t)delay))
        return -1;
    if (f->due_ms && loop_now_ms(f->loop) + (uint64_t)delay >= f->due_ms)
        return -1;
    return delay;
}

static int attempts(struct fetch *f, const struct fetch_request *rq, struct err *e)
{
    for (unsigned n = 0;; n++) {
        int result = attempt(f, rq->method, e);
        int64_t delay = next_delay(f, result, rq->idempotent, n, e);
        if (task_cancelled() && result == 0)
            result = task_park(e);
        if (delay < 0 || (result < 0 && e->code == ERR_CANCELLED))
            return result;
        log_info("client", "retry", F_C("upstream", upstream_name(f->local->upstream)), F_INT("status", f->status),
                 F_INT("attempt", n + 1), F_INT("delay_ms", delay));
        metric_inc(f->local->upstream->retries);
        attempt_end(f);
        if (task_sleep((uint64_t)delay, e) < 0)
            return -1;
    }
}

static enum outcome outcome_of(const struct fetch *f, int result, const struct err *e)
{
    if (result == 0)
        return f->status >= 500 ? OUTCOME_FAILED : f->status >= 400 ? OUTCOME_REFUSED : OUTCOME_OK;
    return upstream_outcome(e);
}

struct fetch *fetch_open(struct upstream *u, const struct fetch_request *request, struct err *e)
{
    struct upstream_local *local = upstream_local(u);
    struct err scratch = {0};
    if (!e)
        e = &scratch;
    if (!headers_clean(request->headers, request->nheaders, request->path)) {
        err_set(e, ERR_INVALID_REQUEST, "A request header has a control character");
        return NULL;
    }
    int result = upstream_ready(u) ? upstream_enter(local, e) : upstream_refuse(local, e);
    if (result < 0) {
        metric_inc(u->calls[outcome_of(NULL, result, e)]);
        return NULL;
    }
    struct fetch *f = fetch_new(local, request);
    result = attempts(f, request, e);
    metric_inc(u->calls[outcome_of(f, result, e)]);
    return result < 0 ? fetch_close(f) : f;
}

int fetch_status(const struct fetch *f)
{
    return f->status;
}

struct str fetch_header(const struct fetch *f, const char *lower_name)
{
    struct str rest = buf_str(&f->head), line;
    struct str name = str_c(lower_name);
    while (str_split(&rest, '\n', &line)) {
        ptrdiff_t colon = str_find_char(line, ':');
        if (colon >= 0 && str_ieq(str_trim((struct str){line.p, (size_t)colon}), name))
            return str_trim(str_from(line, (size_t)colon + 1));
    }
    return STR_NONE;
}

unsigned fetch_retry_after_ms(const struct fetch *f)
{
    struct retry_reply reply = reply_of(f);
    int64_t asked = retry_asked_ms(&reply, clock_wall_ms());
    return asked > 0 ? (unsigned)asked : 0;
}

/* Lets a paused transfer go on once its reader caught up. libcurl may deliver what it held back at once. */
static void unpause(struct fetch *f)
{
    if (!f->paused || f->in.len + f->out.len >= UNREAD_RESUME)
        return;
    f->paused = false;
    f->heard_ms = loop_now_ms(f->loop);
    if (!f->transfer.running)
        return;
    watchdog_set(f);
    curl_easy_pause(f->transfer.easy, CURLPAUSE_CONT);
}

/* The end of the body: 0 when it is whole, -1 with *e otherwise. */
static int body_end(const struct fetch *f, struct err *e)
{
    const char *name = upstream_name(f->local->upstream);
    if (f->late)
        return err_set(e, ERR_TIMEOUT, "%s stopped answering", name);
    if (f->result == CURLE_OK)
        return 0;
    metric_inc(f->local->upstream->cut);
    return err_set(e, ERR_UPSTREAM, "The reply of %s broke off", name);
}

int fetch_read(struct fetch *f, struct str *piece, struct err *e)
{
    if (f->out.cap > UNREAD_RESUME)
        buf_free(&f->out);
    else
        buf_clear(&f->out);
    unpause(f);
    if (wait_until(f, body_there, e) < 0) {
        stop(f);
        return -1;
    }
    if (f->in.len == 0)
        return body_end(f, e);
    struct buf read = f->in;
    f->in = f->out;
    f->out = read;
    *piece = buf_str(&f->out);
    return 1;
}

int fetch_read_all(struct fetch *f, struct buf *out, size_t max, struct err *e)
{
    struct str piece;
    int more;
    while ((more = fetch_read(f, &piece, e)) > 0) {
        if (piece.n > max || buf_str_add(out, piece) < 0)
            return err_set(e, ERR_UPSTREAM, "The reply of %s is too long", upstream_name(f->local->upstream));
        max -= piece.n;
    }
    return more;
}

struct fetch *fetch_finish(struct fetch *f)
{
    if (!f || f->phase != FETCH_BODY || f->paused)
        return fetch_close(f);
    f->detached = true;
    f->due_ms = loop_now_ms(f->loop) + FINISH_MS;
    watchdog_set(f);
    return NULL;
}

struct fetch *fetch_close(struct fetch *f)
{
    if (!f)
        return NULL;
    attempt_end(f);
    upstream_leave(f->local);
    curl_slist_free_all(f->headers);
    buf_free(&f->head);
    buf_free(&f->in);
    buf_free(&f->out);
    buf_free(&f->body);
    free(f->url);
    free(f);
    return NULL;
}
