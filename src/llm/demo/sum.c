#include "llm/demo/sum.h"

#include <math.h>
#include <stdlib.h>

#define DEPTH          32
#define EXPRESSION_MAX 200

/* Two stacks (shunting yard), so that no input recurses. */
struct sum {
    double values[DEPTH];
    size_t nvalues;
    char operators[DEPTH];
    size_t noperators;
    size_t operations;
    bool failed;
};

static int rank(char sign)
{
    switch (sign) {
    case '+':
    case '-':
        return 1;
    case '*':
    case '/':
    case '%':
        return 2;
    case '~': /* minus sign */
        return 3;
    case '^':
        return 4;
    default:
        return 0;
    }
}

static void push(struct sum *s, double value)
{
    if (s->nvalues == DEPTH)
        s->failed = true;
    else
        s->values[s->nvalues++] = value;
}

static void apply(struct sum *s)
{
    char sign = s->operators[--s->noperators];
    size_t takes = sign == '~' ? 1 : 2;
    if (s->nvalues < takes || sign == '(') {
        s->failed = true;
        return;
    }
    double b = s->values[--s->nvalues], a = takes == 2 ? s->values[--s->nvalues] : 0;
    s->operations += takes == 2;
    switch (sign) {
    case '+':
        push(s, a + b);
        break;
    case '-':
        push(s, a - b);
        break;
    case '*':
        push(s, a * b);
        break;
    case '/':
        push(s, a / b);
        break;
    case '%':
        push(s, fmod(a, b));
        break;
    case '^':
        push(s, pow(a, b));
        break;
    default:
        push(s, -b);
        break;
    }
}

static void push_operator(struct sum *s, char sign)
{
    while (sign != '(' && sign != '~' && s->noperators && rank(s->operators[s->noperators - 1]) >= rank(sign) &&
           !(sign == '^' && s->operators[s->noperators - 1] == '^'))
        apply(s);
    if (s->noperators == DEPTH)
        s->failed = true;
    else
        s->operators[s->noperators++] = sign;
}

static void close_bracket(struct sum *s)
{
    while (!s->failed && s->noperators && s->operators[s->noperators - 1] != '(')
        apply(s);
    if (s->noperators == 0)
        s->failed = true;
    else
        s->noperators--;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads a number at text[i]; thousands may be set off by commas. */
static size_t read_number(struct str text, size_t i, double *value)
{
    char plain[64];
    size_t n = 0;
    for (; i < text.n && n < sizeof plain - 1; i++) {
        bool comma = text.p[i] == ',' && i + 3 < text.n && digit(text.p[i + 1]) && digit(text.p[i + 2]) &&
                     digit(text.p[i + 3]) && (i + 4 == text.n || !digit(text.p[i + 4]));
        bool point = text.p[i] == '.' && i + 1 < text.n && digit(text.p[i + 1]);
        if (digit(text.p[i]) || point)
            plain[n++] = text.p[i];
        else if (!comma)
            break;
    }
    plain[n] = 0;
    *value = strtod(plain, NULL);
    return i;
}

/* Works out the expression that begins at text[0]; *length says where it ends. */
static bool evaluate(struct str text, size_t *length, double *value)
{
    struct sum s = {0};
    bool want_value = true;
    size_t i = 0, open = 0;
    *length = 0;
    for (; i < text.n && i < EXPRESSION_MAX && !s.failed;) {
        char c = text.p[i];
        if (c == ' ') {
            i++;
            continue;
        }
        if (want_value && (digit(c) || (c == '.' && i + 1 < text.n && digit(text.p[i + 1])))) {
            double number;
            i = read_number(text, i, &number);
            push(&s, number);
            want_value = false;
            *length = i;
            continue;
        }
        if (want_value && (c == '(' || c == '-')) {
            push_operator(&s, c == '(' ? '(' : '~');
            open += c == '(';
        } else if (!want_value && c == ')' && open) {
            close_bracket(&s);
            open--;
            *length = i + 1;
        } else if (!want_value && (strchr("+-*/%^", c) || c == 'x' || c == 'X')) {
            push_operator(&s, c == 'x' || c == 'X' ? '*' : c);
            want_value = true;
        } else {
            break;
        }
        i++;
    }
    while (s.noperators && !s.failed)
        apply(&s);
    if (s.failed || want_value || open || s.nvalues != 1 || s.operations == 0)
        return false;
    *value = s.values[0];
    return isfinite(*value) != 0;
}

bool sum_find(struct str text, struct str *expression, double *value)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool begins = digit(c) || c == '(' || c == '-';
        bool inside = i > 0 && (digit(text.p[i - 1]) || text.p[i - 1] == '.' || (text.p[i - 1] | 32) >= 'a');
        size_t length;
        if (!begins || (inside && c != '('))
            continue;
        if (evaluate(str_from(text, i), &length, value)) {
            *expression = str_trim((struct str){text.p + i, length});
            return true;
        }
        while (i + 1 < text.n && digit(text.p[i + 1]))
            i++;
    }
    return false;
}
