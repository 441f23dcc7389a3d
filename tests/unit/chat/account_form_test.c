#include "unit/support/unit.h"

#include "chat/account.h"

static struct arena *arena;

static int begin(void **state)
{
    (void)state;
    arena = arena_new("test");
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena = arena_free(arena);
    return 0;
}

static const char *problem(struct account_form form)
{
    static struct err e;
    return account_check_form(&form, arena, &e) == 0 ? "" : e.text;
}

static const char *name(const char *text)
{
    return problem((struct account_form){.name = str_c(text)});
}

static const char *email(const char *text)
{
    return problem((struct account_form){.email = str_c(text)});
}

static const char *password(const char *text)
{
    return problem((struct account_form){.password = str_c(text)});
}

/* n times the text. */
static const char *times(const char *text, size_t n)
{
    char *out = arena_alloc(arena, n * strlen(text) + 1);
    for (size_t i = 0; i < n; i++)
        memcpy(out + i * strlen(text), text, strlen(text));
    out[n * strlen(text)] = 0;
    return out;
}

static void names(void **state)
{
    (void)state;
    static const char low[] = "Name must be at least 2 characters long", high[] = "Name cannot exceed 50 characters";
    assert_string_equal(name("Al"), "");
    assert_string_equal(name("  Al \t"), "");
    assert_string_equal(name(times("x", 50)), "");
    assert_string_equal(name("\xC3\xA9\xC3\xA9"), "");
    assert_string_equal(name("\xF0\x9F\x98\x80"), ""); /* two units, as JavaScript counts */
    assert_string_equal(name(times("\xC3\xA9", 50)), "");
    assert_string_equal(name(""), low);
    assert_string_equal(name("A"), low);
    assert_string_equal(name("  A  "), low);
    assert_string_equal(name("\xC3\xA9"), low);
    assert_string_equal(name("\xFF\xFE\xFD"), low); /* of a form: no text at all */
    assert_string_equal(name(times("x", 51)), high);
    assert_string_equal(name(times("\xF0\x9F\x98\x80", 26)), high);
    assert_string_equal(name("A\x01"
                             "b"),
                        "Name holds a character that is not allowed");
    assert_string_equal(problem((struct account_form){.name = str_n("A\0b", 3)}),
                        "Name holds a character that is not allowed");
}

static void emails(void **state)
{
    (void)state;
    static const char text[] = "Please provide a valid email address";
    static const char *const good[] = {
        "a@b.co", "ann@example.com", "A.B-c_d@x-y.z1.org", " ann@example.com\t", "a.b.c@d.e.f.uk",
        "1@2.33", "_@_.__",          "ann@example.co.uk",  "ann@mail-01.a.biz"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_string_equal(email(good[i]), "");
    static const char *const bad[] = {"",         "@",        "a",         "a@",          "@b.co",      "a@b",
                                      "a@b.c",    "a@b.info", "a..b@c.de", ".a@b.co",     "a.@b.co",    "a.-b@c.de",
                                      "a@.b.co",  "a@b..co",  "a@b.co.",   "a@b-.co",     "a@b.c-o",    "a b@c.de",
                                      "a@b@c.de", "a+b@c.de", "a@b,c.de",  "a@[1.2.3.4]", "a@b.co\n.x", "a@\xC3\xA9.de",
                                      "a'b@c.de", "a@b.co>"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_string_equal(email(bad[i]), text);
    assert_string_equal(problem((struct account_form){.email = str_n("a@b.co\0", 7)}), text);
    const char *local = times("x", 248);
    assert_string_equal(email(arena_printf(arena, "%s@b.com", local).p), "");
    assert_string_equal(email(arena_printf(arena, "%s@bb.com", local).p), text);
}

static void an_address_comes_back_as_it_is_kept(void **state)
{
    (void)state;
    struct account_form form = {
        .name = STR(" Ann  Bee "), .email = STR(" Ann@EXAMPLE.Com "), .password = STR(" Aa1 x ")};
    assert_int_equal(account_check_form(&form, arena, NULL), 0);
    assert_str(form.name, "Ann  Bee");
    assert_str(form.email, "ann@example.com");
    assert_str(form.password, " Aa1 x "); /* what is typed is the password */
    form = (struct account_form){0};
    assert_int_equal(account_check_form(&form, arena, NULL), 0);
    assert_null(form.email.p);
    assert_null(form.name.p);
}

static void passwords(void **state)
{
    (void)state;
    static const char low[] = "Password must be at least 6 characters long", high[] = "Password is too long";
    static const char kinds[] =
        "Password must contain at least one uppercase letter, one lowercase letter, and one number";
    assert_string_equal(password("Aa1xyz"), "");
    assert_string_equal(password("Aa1 \xE2\x98\x83 "), "");
    assert_string_equal(password("Aa1xy"), low);
    assert_string_equal(password(""), low);
    assert_string_equal(password(arena_printf(arena, "Aa1%s", times("x", 125)).p), "");
    assert_string_equal(password(arena_printf(arena, "Aa1%s", times("x", 126)).p), high);
    assert_string_equal(password(arena_printf(arena, "Aa1%s", times("\xC3\xA9", 125)).p), "");
    assert_string_equal(password("aaaaa1"), kinds);
    assert_string_equal(password("AAAAA1"), kinds);
    assert_string_equal(password("AAAaaa"), kinds);
    assert_string_equal(password("123456"), kinds);
    assert_string_equal(password("A\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9"
                                 "1"),
                        kinds);
}

static void the_first_rule_broken_is_told(void **state)
{
    (void)state;
    assert_string_equal(problem((struct account_form){.name = STR("x"), .email = STR("x"), .password = STR("x")}),
                        "Name must be at least 2 characters long");
    assert_string_equal(problem((struct account_form){.name = STR("xy"), .email = STR("x"), .password = STR("x")}),
                        "Please provide a valid email address");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(emails),
        cmocka_unit_test(passwords),
        cmocka_unit_test(an_address_comes_back_as_it_is_kept),
        cmocka_unit_test(the_first_rule_broken_is_told),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
