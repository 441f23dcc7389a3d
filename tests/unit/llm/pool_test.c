#include "base/log.h"
#include "llm/demo/demo.h"
#include "llm/llm_driver.h"
#include "llm/pool.h"
#include "unit/llm/llm_fixture.h"

/* A member that always refuses in one way, or answers with its name. */
struct fake {
    struct llm base;
    struct err refuses; /* code NONE: it answers */
    bool unready;
    unsigned asked;
};

struct fake_stream {
    struct llm_stream base;
    struct fake *fake;
    bool told;
};

static struct llm_stream *fake_open(struct llm *llm, const struct llm_request *rq, struct arena *arena,
                                    struct str *refusal, struct err *e)
{
    struct fake *fake = (struct fake *)llm;
    (void)rq;
    fake->asked++;
    if (fake->refuses.code != ERR_NONE) {
        *e = fake->refuses;
        if (refusal)
            *refusal = arena_str(arena, str_c(llm->model));
        return NULL;
    }
    struct fake_stream *s = calloc(1, sizeof *s);
    s->base.ops = llm->ops;
    s->fake = fake;
    return &s->base;
}

static int fake_next(struct llm_stream *base, struct llm_event *event, struct err *e)
{
    struct fake_stream *s = (struct fake_stream *)base;
    (void)e;
    event->type = LLM_DELTA;
    event->text = str_c(s->fake->base.model);
    return !s->told ? (s->told = true, 1) : 0;
}

static void fake_close(struct llm_stream *s)
{
    free(s);
}

static int fake_models(struct llm *llm, struct buf *out, struct err *e)
{
    struct fake *fake = (struct fake *)llm;
    if (fake->refuses.code != ERR_NONE)
        return err_set(e, ERR_UPSTREAM, "no models");
    return llm_one_model(out, str_c(llm->model), "fake");
}

static int fake_ping(struct llm *llm, struct err *e)
{
    struct fake *fake = (struct fake *)llm;
    return fake->refuses.code == ERR_NONE ? 0 : err_set(e, ERR_UPSTREAM, "down");
}

static bool fake_ready(struct llm *llm)
{
    return !((struct fake *)llm)->unready;
}

static void fake_free(struct llm *llm)
{
    (void)llm;
}

static const struct llm_ops fake_ops = {.name = "fake",
                                        .open = fake_open,
                                        .next = fake_next,
                                        .close = fake_close,
                                        .models = fake_models,
                                        .ping = fake_ping,
                                        .ready = fake_ready,
                                        .free = fake_free};

#define MEMBERS 3

struct pool_test {
    struct fake fakes[MEMBERS];
    struct llm *pool;
    struct arena *arena;
};

static void pool_setup(struct pool_test *t, enum llm_pool_mode mode, const unsigned weights[MEMBERS])
{
    static const char *const names[] = {"a", "b", "c"};
    struct llm_pool_member members[MEMBERS];
    memset(t, 0, sizeof *t);
    for (size_t i = 0; i < MEMBERS; i++) {
        llm_init(&t->fakes[i].base, &fake_ops, names[i]);
        members[i] = (struct llm_pool_member){&t->fakes[i].base, weights ? weights[i] : 1};
    }
    t->pool = llm_pool_new(members, MEMBERS, mode);
    t->arena = arena_new("test");
}

static void pool_teardown(struct pool_test *t)
{
    llm_free(t->pool);
    arena_free(t->arena);
}

static void refuse_with(struct pool_test *t, size_t i, enum err_code code, int status)
{
    err_set(&t->fakes[i].refuses, code, "member %zu", i);
    if (status)
        t->fakes[i].refuses.status = status;
}

/* Who answers: its name, or '-' with *e. */
static char ask(struct pool_test *t, struct err *e)
{
    struct llm_request rq = {.stream = true};
    struct str refusal;
    struct llm_event event;
    *e = (struct err){0};
    struct llm_stream *s = llm_open(t->pool, &rq, t->arena, &refusal, e);
    if (!s)
        return '-';
    assert_int_equal(refusal.n, 0);
    assert_int_equal(llm_next(s, &event, e), 1);
    char name = event.text.p[0];
    llm_close(s);
    return name;
}

static void the_first_that_takes_it_answers(void **state)
{
    struct pool_test t;
    struct err e;
    (void)state;
    pool_setup(&t, LLM_POOL_ORDER, NULL);
    assert_int_equal(ask(&t, &e), 'a');
    refuse_with(&t, 0, ERR_UPSTREAM_UNREACHABLE, 0);
    assert_int_equal(ask(&t, &e), 'b');
    static const int moves_on[] = {401, 403, 404, 408, 409, 429, 500, 503, 529};
    for (size_t i = 0; i < COUNT(moves_on); i++) {
        refuse_with(&t, 1, ERR_UPSTREAM, moves_on[i]);
        assert_int_equal(ask(&t, &e), 'c');
    }
    refuse_with(&t, 1, ERR_TIMEOUT, 0);
    assert_int_equal(ask(&t, &e), 'c');
    refuse_with(&t, 1, ERR_OVERLOADED, 0);
    assert_int_equal(ask(&t, &e), 'c');
    refuse_with(&t, 2, ERR_UPSTREAM, 429);
    assert_int_equal(ask(&t, &e), '-');
    assert_int_equal(e.status, 429);
    assert_string_equal(e.text, "member 2");
    pool_teardown(&t);
}

static void errors_of_the_request_itself_stand(void **state)
{
    struct pool_test t;
    struct err e;
    static const int stands[] = {400, 413, 422};
    (void)state;
    pool_setup(&t, LLM_POOL_ORDER, NULL);
    for (size_t i = 0; i < COUNT(stands); i++) {
        refuse_with(&t, 0, ERR_UPSTREAM, stands[i]);
        assert_int_equal(ask(&t, &e), '-');
        assert_int_equal(e.status, stands[i]);
    }
    refuse_with(&t, 0, ERR_CANCELLED, 0);
    assert_int_equal(ask(&t, &e), '-');
    refuse_with(&t, 0, ERR_INVALID_REQUEST, 0);
    assert_int_equal(ask(&t, &e), '-');
    assert_int_equal(t.fakes[1].asked, 0);
    pool_teardown(&t);
}

static void unready_members_are_asked_last(void **state)
{
    struct pool_test t;
    struct err e;
    (void)state;
    pool_setup(&t, LLM_POOL_ORDER, NULL);
    t.fakes[0].unready = t.fakes[1].unready = true;
    assert_int_equal(ask(&t, &e), 'c');
    refuse_with(&t, 2, ERR_UPSTREAM, 500);
    assert_int_equal(ask(&t, &e), 'a');
    t.fakes[2].unready = true;
    assert_int_equal(ask(&t, &e), 'a');
    pool_teardown(&t);
}

static void weights_share_the_work(void **state)
{
    struct pool_test t;
    struct err e;
    static const unsigned weights[MEMBERS] = {6, 3, 1};
    (void)state;
    pool_setup(&t, LLM_POOL_WEIGHTED, weights);
    for (int i = 0; i < 10000; i++)
        ask(&t, &e);
    assert_in_range(t.fakes[0].asked, 5600, 6400);
    assert_in_range(t.fakes[1].asked, 2700, 3300);
    assert_in_range(t.fakes[2].asked, 800, 1200);
    refuse_with(&t, 0, ERR_UPSTREAM, 503);
    for (int i = 0; i < 100; i++)
        assert_int_not_equal(ask(&t, &e), '-');
    pool_teardown(&t);
}

static void models_are_merged(void **state)
{
    struct pool_test t;
    struct err e = {0};
    struct buf out = BUF_INIT(SIZE_MAX);
    (void)state;
    pool_setup(&t, LLM_POOL_ORDER, NULL);
    refuse_with(&t, 1, ERR_UPSTREAM, 500);
    t.fakes[2].base.model[0] = 'a';
    assert_int_equal(llm_models(t.pool, &out, &e), 0);
    assert_string_equal(buf_cstr(&out),
                        "{\"object\":\"list\",\"data\":[{\"id\":\"a\",\"object\":\"model\",\"created\":0,"
                        "\"owned_by\":\"fake\"}]}");
    assert_int_equal(llm_ping(t.pool, &e), 0);
    refuse_with(&t, 0, ERR_UPSTREAM, 500);
    refuse_with(&t, 2, ERR_UPSTREAM, 500);
    assert_int_equal(llm_models(t.pool, &out, &e), -1);
    assert_int_equal(llm_ping(t.pool, &e), -1);
    assert_string_equal(llm_name(t.pool), "pool");
    assert_string_equal(llm_default_model(t.pool), "a");
    buf_free(&out);
    pool_teardown(&t);
}

/* The real drivers together: a dead service, one that refuses, then the demo. */
static void real_body(void *arg)
{
    struct pool_test *t = arg;
    static const struct llm_message hello = {LLM_USER, {"echo it works", 13}};
    struct llm_request rq = {.messages = &hello, .nmessages = 1};
    struct told told;
    struct llm_stream *s = llm_open(t->pool, &rq, t->arena, NULL, NULL);
    assert_non_null(s);
    told_read(&told, s);
    llm_close(s);
    assert_string_equal(buf_cstr(&told.text), "it works");
    told_free(&told);
}

static void drivers_stand_in_for_each_other(void **state)
{
    static const struct script_step busy[] = {{.bytes = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"}};
    static const struct upstream_config quick = {.connect_timeout = 5000, .first_byte_timeout = 5000};
    struct script_server server;
    struct pool_test t = {.arena = arena_new("test")};
    (void)state;
    script_start(&server, busy, 1);
    struct llm_openai_config dead = {.base_url = "http://127.0.0.1:1", .upstream = &quick};
    struct llm_openai_config full = {.base_url = server.url, .upstream = &quick};
    struct llm_pool_member members[] = {
        {llm_openai_new(&dead, NULL), 1}, {llm_openai_new(&full, NULL), 1}, {llm_demo_new(NULL), 1}};
    t.pool = llm_pool_new(members, COUNT(members), LLM_POOL_ORDER);
    run_client(real_body, &t);
    assert_int_equal(server.nrequests, 1);
    script_stop(&server);
    pool_teardown(&t);
}

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_ERROR, LOG_TEXT);
    assert_int_equal(client_setup(NULL), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_takes_it_answers),
        cmocka_unit_test(errors_of_the_request_itself_stand),
        cmocka_unit_test(unready_members_are_asked_last),
        cmocka_unit_test(weights_share_the_work),
        cmocka_unit_test(models_are_merged),
        cmocka_unit_test(drivers_stand_in_for_each_other),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
