/* The environment, and .env files in the syntax of the dotenv packages. */
#include "config/draft.h"

void read_environment(struct draft *d, char *const *envp)
{
    for (; envp && *envp; envp++) {
        struct str entry = str_c(*envp);
        ptrdiff_t equals = str_find_char(entry, '=');
        unsigned rank;
        const struct setting *s = equals > 0 ? setting_find(str_n(entry.p, (size_t)equals), &rank) : NULL;
        if (s)
            draft_set(d, s, rank, ORIGIN_ENVIRONMENT, str_from(entry, (size_t)equals + 1));
    }
}

static bool is_name_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct str skip_blanks(struct str s)
{
    while (s.n && is_blank(s.p[0]))
        s = str_from(s, 1);
    return s;
}

/* Up to a line break or a '#' that follows a blank: "a#b" is one value, so that no password is cut short. */
static struct str bare_value(struct str text)
{
    size_t n = 0;
    while (n < text.n && text.p[n] != '\n' && text.p[n] != '\r' &&
           !(text.p[n] == '#' && (n == 0 || is_blank(text.p[n - 1]))))
        n++;
    return str_n(text.p, n);
}

static void put_escape(struct buf *out, char c)
{
    switch (c) {
    case 'n':
        buf_byte(out, '\n');
        break;
    case 'r':
        buf_byte(out, '\r');
        break;
    case 't':
        buf_byte(out, '\t');
        break;
    case '"':
    case '\\':
    case '$':
        buf_byte(out, c);
        break;
    default:
        buf_byte(out, '\\');
        buf_byte(out, c);
    }
}

/* The text between text.p[0] and the quote that ends it, escapes undone in double quotes. Bytes taken, 0 when the
 * quote never ends. */
static size_t quoted_value(struct buf *out, struct str text)
{
    char quote = text.p[0];
    for (size_t i = 1; i < text.n; i++) {
        if (text.p[i] == quote)
            return i + 1;
        if (quote == '"' && text.p[i] == '\\' && i + 1 < text.n)
            put_escape(out, text.p[++i]);
        else
            buf_byte(out, text.p[i]);
    }
    return 0;
}

struct dotenv {
    struct draft *d;
    const char *where;
    struct str text; /* what is left */
    size_t line;
};

static void consume(struct dotenv *file, size_t n)
{
    for (size_t i = 0; i < n; i++)
        file->line += file->text.p[i] == '\n';
    file->text = str_from(file->text, n);
}

/* One line or, behind an opening quote, several. */
static void read_assignment(struct dotenv *file, struct str name)
{
    struct buf unquoted = BUF_INIT(MIB(1));
    struct str value;
    char first = file->text.n ? file->text.p[0] : 0;
    unsigned rank;
    const struct setting *s = setting_find(name, &rank);
    if (first == '"' || first == '\'' || first == '`') {
        size_t taken = quoted_value(&unquoted, file->text);
        if (!taken) {
            draft_error(file->d, "%s line %zu: the quote never ends", file->where, file->line);
            taken = file->text.n;
            s = NULL;
        }
        consume(file, taken);
        value = buf_str(&unquoted);
    } else {
        value = bare_value(file->text);
        consume(file, value.n);
    }
    if (s)
        draft_set(file->d, s, rank, ORIGIN_DOTENV, value);
    if (unquoted.data)
        explicit_bzero(unquoted.data, unquoted.cap);
    buf_free(&unquoted);
}

static void read_line(struct dotenv *file)
{
    struct str rest = skip_blanks(file->text);
    if (str_starts(rest, STR("export ")) || str_starts(rest, STR("export\t")))
        rest = skip_blanks(str_from(rest, 7));
    size_t n = 0;
    while (n < rest.n && is_name_char(rest.p[n]))
        n++;
    struct str name = str_n(rest.p, n), after = skip_blanks(str_from(rest, n));
    if (n && after.n && after.p[0] == '=') {
        after = skip_blanks(str_from(after, 1));
        consume(file, (size_t)(after.p - file->text.p));
        read_assignment(file, name);
    } else if (n || (rest.n && rest.p[0] != '#' && rest.p[0] != '\r' && rest.p[0] != '\n')) {
        draft_warn(file->d, "%s line %zu is no NAME=value and is ignored", file->where, file->line);
    }
    /* What is left of the line is blanks or a comment. */
    ptrdiff_t end = str_find_char(file->text, '\n');
    consume(file, end < 0 ? file->text.n : (size_t)end + 1);
}

void read_dotenv(struct draft *d, struct str text, const char *where)
{
    struct dotenv file = {.d = d, .where = where, .text = text, .line = 1};
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        file.text = str_from(text, 3);
    while (file.text.n)
        read_line(&file);
}
