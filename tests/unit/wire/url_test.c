#include "unit/support/unit.h"

#include "base/macros.h"
#include "wire/url.h"

struct sample {
    const char *text, *scheme, *user, *host;
    unsigned port;
    const char *target;
    bool ipv6;
};

static void urls_come_apart(void **state)
{
    static const struct sample samples[] = {
        {"https://api.openai.com/v1/realtime?model=a%20b", "https", NULL, "api.openai.com", 0,
         "/v1/realtime?model=a%20b", false},
        {"wss://h", "wss", NULL, "h", 0, "", false},
        {"ws://h:8080", "ws", NULL, "h", 8080, "", false},
        {"http://h:/x", "http", NULL, "h", 0, "/x", false},
        {"http://h?q=1", "http", NULL, "h", 0, "?q=1", false},
        {"http://127.0.0.1:1/a@b:c", "http", NULL, "127.0.0.1", 1, "/a@b:c", false},
        {"http://[::1]:65535/x", "http", NULL, "::1", 65535, "/x", true},
        {"http://[2001:db8::a.1]", "http", NULL, "2001:db8::a.1", 0, "", true},
        {"http://name:p%40ss@proxy.example:3128", "http", "name:p%40ss", "proxy.example", 3128, "", false},
        {"http://a@b@h/", "http", "a@b", "h", 0, "/", false},
        {"proxy:3128", "", NULL, "proxy", 3128, "", false},
        {"u:p@proxy", "", "u:p", "proxy", 0, "", false},
        {"a_b-c.d", "", NULL, "a_b-c.d", 0, "", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        const struct sample *s = &samples[i];
        struct url u;
        assert_int_equal(url_split(&u, str_c(s->text)), 0);
        assert_str(u.scheme, s->scheme);
        assert_str(u.host, s->host);
        assert_str(u.target, s->target);
        assert_int_equal(u.port, s->port);
        assert_int_equal(u.ipv6, s->ipv6);
        assert_int_equal(u.user.p == NULL, s->user == NULL);
        if (s->user)
            assert_str(u.user, s->user);
    }
}

static void odd_texts_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "http://",
        "http:///path",
        "http://:80",
        "http://u@",
        "http://h:0",
        "http://h:65536",
        "http://h:+1",
        "http://h:80a",
        "http://h:80:80",
        "http://[::1",
        "http://[]",
        "http://[::1]x",
        "http://[h]",
        "http://[fe80::1%25eth0]",
        "http://h/a b",
        "http://h/a\r\nX: y",
        "http://h\r\n",
        "http://h/#fragment",
        "http://h#f",
        "http://h\xC3\xA9",
        "http://h/\xC3\xA9",
        "http://u\n:p@h",
        "ht tp://h",
        "h/x?u=http://y",
        "http://h%20",
        "http://h\\x",
    };
    struct url u = {.port = 7};
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        if (url_split(&u, str_c(texts[i])) == 0)
            fail_msg("taken: %s", texts[i]);
    assert_int_equal(url_split(&u, str_n("http://h/\0", 10)), -1);
    char host[257];
    memset(host, 'h', sizeof host);
    assert_int_equal(url_split(&u, str_n(host, 256)), -1);
    assert_int_equal(u.port, 7);
    assert_int_equal(url_split(&u, str_n(host, 255)), 0);
}

static void check_basic(const char *user, const char *want)
{
    struct buf out = BUF_INIT(100);
    buf_lit(&out, "> ");
    assert_int_equal(url_basic_auth(&out, str_c(user)), want ? 0 : -1);
    assert_string_equal(buf_cstr(&out), want ? want : "> ");
    buf_free(&out);
}

static void user_information_becomes_basic(void **state)
{
    (void)state;
    check_basic("Aladdin:open%20sesame", "> Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    check_basic("user", "> Basic dXNlcjo=");
    check_basic(":", "> Basic Og==");
    check_basic("a:%zz", NULL);
    check_basic("a:%00", NULL);
    check_basic("a:%2", NULL);
    struct buf small = BUF_INIT(8);
    assert_int_equal(url_basic_auth(&small, STR("a:b")), -1);
    assert_int_equal(small.len, 0);
    buf_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_come_apart),
        cmocka_unit_test(odd_texts_are_refused),
        cmocka_unit_test(user_information_becomes_basic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
