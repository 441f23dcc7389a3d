/* Client secrets of realtime sessions: what they hold, how long they last, and what is made of changed ones. */
#include "unit/support/unit.h"

#include "api/api_impl.h"
#include "api/realtime_secret.h"

#define NOW     1700000000
#define SESSION "{\"type\":\"realtime\"}"

static struct api_access access_rights;
static struct api api;

static int setup(void **state)
{
    (void)state;
    access_rights = (struct api_access){.token = "a-token-of-the-tests-0123456789"};
    atomic_init(&api.access, &access_rights);
    return 0;
}

static struct buf made(struct str session, int64_t expires_at)
{
    struct buf secret = BUF_INIT(KIB(16));
    assert_int_equal(realtime_secret_put(&api, session, expires_at, &secret), 0);
    return secret;
}

static int open_at(struct str secret, int64_t now, const char *session)
{
    struct buf out = BUF_INIT(REALTIME_SECRET_SESSION);
    int result = realtime_secret_open(&api, secret, now, &out);
    assert_true(str_eqc(buf_str(&out), result == 0 ? session : ""));
    buf_free(&out);
    return result;
}

static void holds_until_its_end(void **state)
{
    (void)state;
    struct buf secret = made(STR(SESSION), NOW + 10);
    assert_true(str_starts(buf_str(&secret), STR("ek_")));
    assert_int_equal(open_at(buf_str(&secret), NOW, SESSION), 0);
    assert_int_equal(open_at(buf_str(&secret), NOW + 9, SESSION), 0);
    assert_int_equal(open_at(buf_str(&secret), NOW + 10, SESSION), -1);
    assert_int_equal(open_at(buf_str(&secret), NOW + 100000, SESSION), -1);
    buf_free(&secret);
}

static void may_be_a_name_in_a_header(void **state)
{
    (void)state;
    struct buf secret = made(STR(SESSION "\xff\xfe\xfb\x00"), NOW);
    struct str text = buf_str(&secret);
    for (size_t i = 0; i < text.n; i++)
        assert_true(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", text.p[i]));
    buf_free(&secret);
}

static void no_changed_byte_is_taken(void **state)
{
    (void)state;
    struct buf secret = made(STR(SESSION), NOW + 10);
    /* The last character may hold bits that stand for nothing. */
    for (size_t i = 0; i + 1 < secret.len; i++) {
        char *at = secret.data + secret.head + i, was = *at;
        *at = was == 'A' ? 'B' : 'A';
        assert_int_equal(open_at(buf_str(&secret), NOW, SESSION), -1);
        *at = was;
    }
    for (size_t n = 0; n + 1 < secret.len; n++)
        assert_int_equal(open_at(str_n(buf_str(&secret).p, n), NOW, SESSION), -1);
    assert_int_equal(open_at(STR_NONE, NOW, SESSION), -1);
    buf_free(&secret);
}

static void another_token_ends_it(void **state)
{
    (void)state;
    struct buf secret = made(STR(SESSION), NOW + 10);
    access_rights.token = "another-token-of-the-tests";
    assert_int_equal(open_at(buf_str(&secret), NOW, SESSION), -1);
    access_rights.token = NULL;
    assert_int_equal(open_at(buf_str(&secret), NOW, SESSION), -1);
    buf_free(&secret);
}

static void without_a_token_it_is_the_processs_own(void **state)
{
    (void)state;
    access_rights.token = NULL;
    struct buf secret = made(STR(""), NOW + 10);
    assert_int_equal(open_at(buf_str(&secret), NOW, ""), 0);
    access_rights.token = "";
    assert_int_equal(open_at(buf_str(&secret), NOW, ""), 0);
    buf_free(&secret);
}

static void has_room_for_so_much(void **state)
{
    (void)state;
    static char session[REALTIME_SECRET_SESSION + 1];
    memset(session, 'x', sizeof session);
    struct buf secret = made(str_n(session, REALTIME_SECRET_SESSION), NOW + 10), none = BUF_INIT(KIB(16));
    assert_true(secret.len < KIB(10));
    assert_int_equal(realtime_secret_put(&api, str_n(session, sizeof session), NOW, &none), -1);
    assert_int_equal(none.len, 0);
    buf_free(&secret);
    buf_free(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(holds_until_its_end, setup),
        cmocka_unit_test_setup(may_be_a_name_in_a_header, setup),
        cmocka_unit_test_setup(no_changed_byte_is_taken, setup),
        cmocka_unit_test_setup(another_token_ends_it, setup),
        cmocka_unit_test_setup(without_a_token_it_is_the_processs_own, setup),
        cmocka_unit_test_setup(has_room_for_so_much, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
