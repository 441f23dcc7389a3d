/* What a name, an e-mail address and a password have to be. Texts and rules are the clients' contract. */
#include "base/utf8.h"
#include "chat/account.h"

#define NAME_MIN     2
#define NAME_MAX     50
#define EMAIL_MAX    254 /* bytes of an address (RFC 5321 section 4.5.3.1.3, without its brackets) */
#define PASSWORD_MIN 6
#define PASSWORD_MAX 128

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_word(char c)
{
    return is_lower(c) || is_upper(c) || is_digit(c) || c == '_';
}

/* Words joined by single dots and dashes; *last is where the last word begins. */
static bool is_words(struct str s, size_t *last)
{
    *last = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (is_word(s.p[i]))
            continue;
        if ((s.p[i] != '.' && s.p[i] != '-') || i == *last)
            return false;
        *last = i + 1;
    }
    return *last < s.n;
}

/* word(.-word)@word(.-word).xx or .xxx */
static bool is_email(struct str s)
{
    size_t last;
    ptrdiff_t at = str_find_char(s, '@');
    if (at < 0 || s.n > EMAIL_MAX || !is_words(str_n(s.p, (size_t)at), &last))
        return false;
    struct str host = str_from(s, (size_t)at + 1);
    if (!is_words(host, &last) || last == 0 || host.p[last - 1] != '.')
        return false;
    return host.n - last == 2 || host.n - last == 3;
}

static struct str lower(struct str s, struct arena *arena)
{
    char *out = arena_cstr(arena, s);
    for (size_t i = 0; i < s.n; i++)
        if (is_upper(out[i]))
            out[i] = (char)(out[i] + ('a' - 'A'));
    return str_n(out, s.n);
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7F)
            return true;
    return false;
}

static int check_name(struct str name, struct err *e)
{
    size_t length = utf8_utf16_len(name);
    if (!utf8_valid(name) || length < NAME_MIN)
        return err_set(e, ERR_INVALID_REQUEST, "Name must be at least 2 characters long");
    if (length > NAME_MAX)
        return err_set(e, ERR_INVALID_REQUEST, "Name cannot exceed 50 characters");
    if (has_control(name))
        return err_set(e, ERR_INVALID_REQUEST, "Name holds a character that is not allowed");
    return 0;
}

static int check_password(struct str password, struct err *e)
{
    bool digit = false, lower_case = false, upper_case = false;
    for (size_t i = 0; i < password.n; i++) {
        digit = digit || is_digit(password.p[i]);
        lower_case = lower_case || is_lower(password.p[i]);
        upper_case = upper_case || is_upper(password.p[i]);
    }
    size_t length = utf8_valid(password) ? utf8_utf16_len(password) : password.n;
    if (length < PASSWORD_MIN)
        return err_set(e, ERR_INVALID_REQUEST, "Password must be at least 6 characters long");
    if (length > PASSWORD_MAX)
        return err_set(e, ERR_INVALID_REQUEST, "Password is too long");
    if (!digit || !lower_case || !upper_case)
        return err_set(e, ERR_INVALID_REQUEST,
                       "Password must contain at least one uppercase letter, one lowercase letter, and one number");
    return 0;
}

int account_check_form(struct account_form *form, struct arena *arena, struct err *e)
{
    struct str name = str_trim(form->name), email = STR_NONE;
    if (form->name.p && check_name(name, e) < 0)
        return -1;
    if (form->email.p) {
        email = lower(str_trim(form->email), arena);
        if (!is_email(email))
            return err_set(e, ERR_INVALID_REQUEST, "Please provide a valid email address");
    }
    if (form->password.p && check_password(form->password, e) < 0)
        return -1;
    form->name = form->name.p ? name : form->name;
    form->email = email;
    return 0;
}
