/* The JSON scanner, with cJSON (behind base/json.h) as the reference. What the scanner takes, the reference takes, with
 * the same values, except: \u0000 and lone surrogates, which base/json.h refuses, and numbers of 63 characters or more,
 * which cJSON cuts. What the reference takes may be refused (see wire/json.h), but never once it is printed anew. */
#include "fuzz.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/macros.h"
#include "wire/json.h"

#define MAX_SIZE 4096

static const char *const paths[] = {"", "a", "a.b", "a[1]", "a[1].b", "[0]", "[2][1]", "[1].a.b"};

/* The reference's value at the path, by the scanner's own rules for paths. */
static const cJSON *lookup(const cJSON *at, const char *path)
{
    while (at && *path) {
        char key[8] = {0};
        size_t n = strcspn(path + 1, ".[") + 1;
        if (*path == '[')
            at = cJSON_IsArray(at) ? cJSON_GetArrayItem(at, path[1] - '0') : NULL;
        else
            at = json_get(at, memcpy(key, path, n));
        path += n;
        path += *path == '.';
    }
    return at;
}

static void compare_scalar(const struct json_value *v, const cJSON *item)
{
    struct buf scratch = BUF_INIT(MAX_SIZE);
    switch (v->type) {
    case JSON_NONE:
        CHECK(false);
        break;
    case JSON_NULL:
        CHECK(cJSON_IsNull(item));
        break;
    case JSON_TRUE:
        CHECK(cJSON_IsTrue(item));
        break;
    case JSON_FALSE:
        CHECK(cJSON_IsFalse(item));
        break;
    case JSON_NUMBER:
        CHECK(cJSON_IsNumber(item) && json_double(v, 0) == item->valuedouble);
        CHECK(json_int(v, 7) == 7 || (double)json_int(v, 7) == item->valuedouble);
        break;
    case JSON_STRING:
        CHECK(cJSON_IsString(item) && str_eqc(json_text(v, &scratch), item->valuestring));
        break;
    case JSON_ARRAY:
        CHECK(cJSON_IsArray(item));
        break;
    case JSON_OBJECT:
        CHECK(cJSON_IsObject(item));
        break;
    }
    buf_free(&scratch);
}

/* Walks both trees side by side; nesting is bounded by both parsers. */
static void compare_tree(const struct json_value *root, const cJSON *tree)
{
    struct level {
        struct json_iter it;
        const cJSON *next;
    } levels[LIMIT_JSON_DEPTH + 1];
    size_t depth = 0;
    struct json_value key, v;
    compare_scalar(root, tree);
    levels[depth++] = (struct level){json_iter(root), tree->child};
    while (depth) {
        struct level *top = &levels[depth - 1];
        const cJSON *item = top->next;
        if (!json_each(&top->it, &key, &v)) {
            CHECK(!item);
            depth--;
            continue;
        }
        CHECK(item);
        top->next = item->next;
        compare_scalar(&v, item);
        if (key.type == JSON_STRING) {
            struct buf scratch = BUF_INIT(MAX_SIZE);
            CHECK(str_eqc(json_text(&key, &scratch), item->string));
            buf_free(&scratch);
        }
        if (v.type == JSON_ARRAY || v.type == JSON_OBJECT) {
            CHECK(depth <= LIMIT_JSON_DEPTH);
            levels[depth++] = (struct level){json_iter(&v), item->child};
        }
    }
}

/* Whether the text has one of the things that only the reference refuses. */
static bool refused_by_reference_alone(struct str text)
{
    size_t run = 0;
    for (size_t i = 0; i < text.n; i++) {
        run = strchr("+-.0123456789eE", text.p[i]) && text.p[i] ? run + 1 : 0;
        struct str rest = str_from(text, i);
        if (run >= 63 || str_starts(rest, STR("\\u0000")) || str_starts(rest, STR("\\ud")) ||
            str_starts(rest, STR("\\uD")))
            return true;
    }
    return false;
}

static void check_printed(const cJSON *tree)
{
    struct buf out = BUF_INIT(MIB(1));
    struct err e;
    enum json_type root;
    if (json_print(&out, tree) == 0)
        CHECK(json_scan(buf_str(&out), NULL, 0, &root, &e) == 0);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_want wants[COUNT(paths)];
    struct err e;
    enum json_type type;
    if (size > MAX_SIZE)
        return 0;
    struct str text = str_n(data, size);
    for (size_t i = 0; i < COUNT(paths); i++)
        wants[i] = (struct json_want){.path = paths[i]};
    int got = json_scan(text, wants, COUNT(wants), &type, &e);
    struct arena *a = arena_new("fuzz");
    cJSON *tree = json_parse(a, text, &e);
    if (got == 0 && !tree)
        CHECK(refused_by_reference_alone(text));
    if (got == 0 && tree) {
        CHECK(type == wants[0].value.type);
        compare_tree(&wants[0].value, tree);
        for (size_t i = 0; i < COUNT(paths); i++) {
            const cJSON *item = lookup(tree, paths[i]);
            CHECK((wants[i].value.type == JSON_NONE) == !item);
            if (item)
                compare_tree(&wants[i].value, item);
        }
    }
    if (tree)
        check_printed(tree);
    arena_free(a);
    return 0;
}
