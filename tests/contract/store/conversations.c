#include "contract/store/suite.h"

#include "base/buf.h"

#include <stdio.h>

static void create_get_reopen(struct fixture *f)
{
    struct message hello = text_message(f, "", "hello");
    struct store_append append = {.messages = &hello, .n = 1};
    append.conversation = (struct conversation){.id = STR("c1"),
                                                .space = STR("care"),
                                                .owner = STR("u1"),
                                                .agent_id = STR("a1"),
                                                .device_id = STR("d1"),
                                                .title = STR("Ünïcode \xf0\x9f\x98\x80"),
                                                .status = STR("active"),
                                                .meta = STR("{\"a\":[1]}"),
                                                .active = true,
                                                .created_us = 5000000};
    struct store_appended made;
    struct conversation got;
    assert_ok(f, store_conversation_create(f->st, f->a, &append, &made, &f->e));
    assert_true(made.created && !made.duplicate);
    assert_int_equal(made.n, 1);
    assert_int_equal(made.messages[0].seq, 1);
    assert_str(made.messages[0].conversation_id, "c1");
    assert_error(f, store_conversation_create(f->st, f->a, &append, &made, &f->e), ERR_CONFLICT);
    reopen(f);
    assert_ok(f, store_conversation_get(f->st, f->a, STR("c1"), &got, &f->e));
    assert_str(got.id, "c1");
    assert_str(got.space, "care");
    assert_str(got.owner, "u1");
    assert_str(got.agent_id, "a1");
    assert_str(got.device_id, "d1");
    assert_str(got.title, "Ünïcode \xf0\x9f\x98\x80");
    assert_str(got.status, "active");
    assert_str(got.meta, "{\"a\":[1]}");
    assert_true(got.active);
    assert_int_equal(got.created_us, 5000000);
    assert_int_equal(got.message_count, 1);
    assert_error(f, store_conversation_get(f->st, f->a, STR("c2"), &got, &f->e), ERR_CONVERSATION_NOT_FOUND);
}

static void ids_are_made_and_times_set_when_missing(struct fixture *f)
{
    struct store_append append = {.conversation.space = STR("chat")};
    struct store_appended one, two;
    struct conversation got;
    assert_ok(f, store_conversation_create(f->st, f->a, &append, &one, &f->e));
    assert_ok(f, store_conversation_create(f->st, f->a, &append, &two, &f->e));
    assert_int_equal(one.conversation.id.n, 36);
    assert_false(str_eq(one.conversation.id, two.conversation.id));
    assert_true(one.conversation.created_us > 0);
    assert_ok(f, store_conversation_get(f->st, f->a, two.conversation.id, &got, &f->e));
    assert_int_equal(got.created_us, got.updated_us);
    assert_int_equal(got.message_count, 0);
    assert_str(got.owner, "");
    assert_str(got.meta, "");
}

static void update_sets_only_what_is_named(struct fixture *f)
{
    struct conversation got;
    make_conversation(f, "chat", "c1", 2);
    assert_ok(f, store_conversation_get(f->st, f->a, STR("c1"), &got, &f->e));
    int64_t before = got.updated_us;
    struct conversation_change change = {.to = {.id = STR("c1"), .title = STR("T"), .status = STR("S")},
                                         .set = CONVERSATION_SET_TITLE};
    assert_ok(f, store_conversation_update(f->st, f->a, &change, &got, &f->e));
    assert_str(got.title, "T");
    assert_str(got.status, "");
    assert_int_equal(got.updated_us, before);
    assert_int_equal(got.message_count, 2);
    change.set = 2 | 4 | 8 | 16 | 32 | 64 | 128;
    change.to.meta = STR("{}");
    change.to.active = true;
    change.to.agent_id = STR("A");
    change.to.device_id = STR("D");
    change.to.owner = STR("O");
    change.to.updated_us = before + 7;
    assert_ok(f, store_conversation_update(f->st, f->a, &change, NULL, &f->e));
    assert_ok(f, store_conversation_get(f->st, f->a, STR("c1"), &got, &f->e));
    assert_str(got.status, "S");
    assert_str(got.meta, "{}");
    assert_true(got.active);
    assert_str(got.agent_id, "A");
    assert_str(got.device_id, "D");
    assert_str(got.owner, "O");
    assert_str(got.title, "T");
    assert_int_equal(got.updated_us, before + 7);
    change.to.updated_us = 1;
    assert_ok(f, store_conversation_update(f->st, f->a, &change, &got, &f->e));
    assert_int_equal(got.updated_us, before + 7);
    change.to.id = STR("nowhere");
    assert_error(f, store_conversation_update(f->st, f->a, &change, &got, &f->e), ERR_CONVERSATION_NOT_FOUND);
}

static void delete_takes_the_messages_along(struct fixture *f)
{
    struct conversation got;
    struct message_page page;
    struct message message;
    struct store_appended added;
    make_conversation(f, "chat", "gone", 3);
    make_conversation(f, "chat", "stays", 3);
    assert_ok(f, store_conversation_delete(f->st, STR("gone"), &f->e));
    assert_error(f, store_conversation_delete(f->st, STR("gone"), &f->e), ERR_CONVERSATION_NOT_FOUND);
    assert_error(f, store_conversation_get(f->st, f->a, STR("gone"), &got, &f->e), ERR_CONVERSATION_NOT_FOUND);
    struct message_query query = {.conversation_id = STR("gone")};
    assert_ok(f, store_message_list(f->st, f->a, &query, &page, &f->e));
    assert_int_equal(page.n, 0);
    struct message late = text_message(f, "gone", "late");
    assert_error(f, store_message_add(f->st, f->a, &late, &added, &f->e), ERR_CONVERSATION_NOT_FOUND);
    /* The same id again is a new, empty conversation. */
    make_conversation(f, "chat", "gone", 1);
    reopen(f);
    assert_ok(f, store_message_list(f->st, f->a, &query, &page, &f->e));
    assert_int_equal(page.n, 1);
    query.conversation_id = STR("stays");
    assert_ok(f, store_message_list(f->st, f->a, &query, &page, &f->e));
    assert_int_equal(page.n, 3);
    struct message_ref ref = {STR("gone"), page.items[0].id};
    assert_error(f, store_message_get(f->st, f->a, &ref, &message, &f->e), ERR_MESSAGE_NOT_FOUND);
}

static void fill(struct fixture *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct store_append append = {.conversation = {.space = STR("chat"), .active = i % 4 == 0}};
        append.conversation.id = arena_printf(f->a, "c%u", i);
        append.conversation.owner = i % 3 == 2 ? STR("u1") : STR("");
        append.conversation.agent_id = i % 2 ? STR("a1") : STR("a0");
        append.conversation.device_id = i % 2 ? STR("d1") : STR("");
        append.conversation.created_us = 1000 + i / 2; /* pairs at the same time */
        struct store_appended out;
        assert_ok(f, store_conversation_create(f->st, f->a, &append, &out, &f->e));
    }
}

/* The ids of all pages in one line. */
static const char *walk(struct fixture *f, struct conversation_query query)
{
    struct buf ids = BUF_INIT(KIB(64));
    struct conversation_page page;
    do {
        assert_ok(f, store_conversation_list(f->st, f->a, &query, &page, &f->e));
        for (size_t i = 0; i < page.n; i++)
            buf_addf(&ids, "%s%.*s", ids.len ? " " : "", STR_ARG(page.items[i].id));
        query.cursor = page.next;
    } while (page.next.n);
    const char *line = arena_cstr(f->a, buf_str(&ids));
    buf_free(&ids);
    return line;
}

static void lists_filter_and_order(struct fixture *f)
{
    fill(f, 12);
    make_conversation(f, "pichat", "other", 0);
    struct conversation_query query = {.space = STR("chat"), .order = CONVERSATION_BY_CREATED, .limit = 3};
    assert_string_equal(walk(f, query), "c10 c9 c7 c6 c4 c3 c1 c0");
    query.agent_id = STR("a1");
    assert_string_equal(walk(f, query), "c9 c7 c3 c1");
    query.agent_id = STR_NONE;
    query.only_active = true;
    assert_string_equal(walk(f, query), "c4 c0");
    query.only_active = false;
    query.device_id = STR("d1");
    assert_string_equal(walk(f, query), "c9 c7 c3 c1");
    query.order = CONVERSATION_BY_UPDATED;
    assert_string_equal(walk(f, query), "c9 c7 c3 c1");
    query.device_id = STR_NONE;
    query.owner = STR("u1");
    assert_string_equal(walk(f, query), "c11 c8 c5 c2");
    struct message m = text_message(f, "c5", "x");
    struct store_appended added;
    assert_ok(f, store_message_add(f->st, f->a, &m, &added, &f->e));
    reopen(f);
    assert_string_equal(walk(f, query), "c5 c11 c8 c2");
    query.order = CONVERSATION_BY_CREATED;
    assert_string_equal(walk(f, query), "c11 c8 c5 c2");
    query.space = STR("nothing");
    assert_string_equal(walk(f, query), "");
    query.cursor = STR("12.");
    struct conversation_page page;
    assert_error(f, store_conversation_list(f->st, f->a, &query, &page, &f->e), ERR_INVALID_REQUEST);
}

static void lists_carry_messages(struct fixture *f)
{
    make_conversation(f, "chat", "empty", 0);
    make_conversation(f, "chat", "long", 20);
    make_conversation(f, "chat", "short", 2);
    struct conversation_query query = {.space = STR("chat"), .order = CONVERSATION_BY_CREATED, .messages = STORE_ALL};
    struct conversation_page page;
    assert_ok(f, store_conversation_list(f->st, f->a, &query, &page, &f->e));
    assert_int_equal(page.n, 3);
    assert_str(page.items[1].id, "long");
    assert_int_equal(page.items[0].nmessages, 2);
    assert_int_equal(page.items[1].nmessages, 20);
    assert_int_equal(page.items[2].nmessages, 0);
    assert_str(page.items[1].messages[19].content, "text 20");
    assert_str(page.items[1].messages[19].conversation_id, "long");
    query.messages = 3;
    assert_ok(f, store_conversation_list(f->st, f->a, &query, &page, &f->e));
    assert_int_equal(page.items[0].nmessages, 2);
    assert_int_equal(page.items[1].nmessages, 3);
    assert_str(page.items[1].messages[0].content, "text 18");
    query.messages = 0;
    assert_ok(f, store_conversation_list(f->st, f->a, &query, &page, &f->e));
    assert_null(page.items[1].messages);
}

/* Pages stay small however heavy the messages are, and still show everything once. */
static void lists_end_pages_by_weight(struct fixture *f)
{
    char *big = arena_alloc(f->a, LIMIT_REPLY_TEXT);
    memset(big, 'b', LIMIT_REPLY_TEXT);
    for (int i = 0; i < 6; i++) {
        struct message m = text_message(f, "", "");
        m.content = str_n(big, LIMIT_REPLY_TEXT);
        struct store_append append = {.conversation.space = STR("chat"), .messages = &m, .n = 1};
        struct store_appended out;
        assert_ok(f, store_conversation_create(f->st, f->a, &append, &out, &f->e));
    }
    struct conversation_query query = {.space = STR("chat"), .messages = STORE_ALL};
    struct conversation_page page;
    size_t seen = 0, pages = 0;
    do {
        struct arena *a = arena_new("page");
        assert_ok(f, store_conversation_list(f->st, a, &query, &page, &f->e));
        seen += page.n;
        pages++;
        assert_true(page.n <= STORE_PAGE_BYTES / LIMIT_REPLY_TEXT);
        query.cursor = arena_str(f->a, page.next);
        arena_free(a);
    } while (query.cursor.n);
    assert_int_equal(seen, 6);
    assert_int_equal(pages, 2);
}

static void walk_by_creation_survives_inserts_and_deletes(struct fixture *f)
{
    bool seen[30] = {false};
    fill(f, 30);
    struct conversation_query query = {.space = STR("chat"), .order = CONVERSATION_BY_CREATED, .limit = 4};
    struct conversation_page page;
    unsigned round = 0, total = 0;
    do {
        assert_ok(f, store_conversation_list(f->st, f->a, &query, &page, &f->e));
        for (size_t i = 0; i < page.n; i++, total++) {
            uint64_t n;
            assert_int_equal(str_u64(str_from(page.items[i].id, 1), &n), 0);
            assert_true(n < 30 && !seen[n]);
            seen[n] = true;
        }
        struct store_append append = {.conversation.space = STR("chat"),
                                      .conversation.id = arena_printf(f->a, "new%u", round++)};
        struct store_appended out;
        assert_ok(f, store_conversation_create(f->st, f->a, &append, &out, &f->e));
        /* The cursor points behind this one: it must hold although it is gone. */
        if (round == 1)
            assert_ok(f, store_conversation_delete(f->st, page.items[page.n - 1].id, &f->e));
        query.cursor = page.next;
    } while (page.next.n);
    assert_int_equal(total, 20);
}

static void walk_by_update_shows_nothing_twice(struct fixture *f)
{
    unsigned seen[30] = {0};
    fill(f, 30);
    struct conversation_query query = {.space = STR("chat"), .limit = 4};
    struct conversation_page page;
    do {
        assert_ok(f, store_conversation_list(f->st, f->a, &query, &page, &f->e));
        for (size_t i = 0; i < page.n; i++) {
            uint64_t n;
            assert_int_equal(str_u64(str_from(page.items[i].id, 1), &n), 0);
            assert_int_equal(seen[n]++, 0);
        }
        struct message m = text_message(f, arena_cstr(f->a, page.items[0].id), "moves to the front");
        struct store_appended out;
        assert_ok(f, store_message_add(f->st, f->a, &m, &out, &f->e));
        query.cursor = page.next;
    } while (page.next.n);
}

static void page_limits_hold(struct fixture *f)
{
    struct conversation_page page;
    for (unsigned i = 0; i < 130; i++) {
        char id[16];
        snprintf(id, sizeof id, "p%u", i);
        make_conversation(f, "chat", id, 0);
    }
    struct conversation_query query = {.space = STR("chat")};
    assert_ok(f, store_conversation_list(f->st, f->a, &query, &page, &f->e));
    assert_int_equal(page.n, 100);
    query.limit = UINT32_MAX;
    assert_ok(f, store_conversation_list(f->st, f->a, &query, &page, &f->e));
    assert_int_equal(page.n, 130);
    assert_int_equal(page.next.n, 0);
    query.limit = 130;
    assert_ok(f, store_conversation_list(f->st, f->a, &query, &page, &f->e));
    assert_int_equal(page.next.n, 0);
}

const struct suite_test conversation_tests[] = {
    {"create, get, reopen", create_get_reopen},
    {"ids are made and times set when missing", ids_are_made_and_times_set_when_missing},
    {"update sets only what is named", update_sets_only_what_is_named},
    {"delete takes the messages along", delete_takes_the_messages_along},
    {"lists filter and order", lists_filter_and_order},
    {"lists carry messages", lists_carry_messages},
    {"lists end pages by weight", lists_end_pages_by_weight},
    {"walk by creation survives inserts and deletes", walk_by_creation_survives_inserts_and_deletes},
    {"walk by update shows nothing twice", walk_by_update_shows_nothing_twice},
    {"page limits hold", page_limits_hold},
    {0},
};
