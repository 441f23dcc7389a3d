#include "contract/store/suite.h"

#include <stdio.h>

static struct message_page list(struct fixture *f, struct message_query query)
{
    struct message_page page;
    assert_ok(f, store_message_list(f->st, f->a, &query, &page, &f->e));
    for (size_t i = 1; i < page.n; i++)
        assert_int_equal(page.items[i].seq, page.items[i - 1].seq + 1);
    return page;
}

static void messages_keep_order_after_reopen(struct fixture *f)
{
    make_conversation(f, "chat", "c", 3);
    for (int i = 4; i <= 9; i++) {
        struct message m = text_message(f, "c", "");
        m.content = arena_printf(f->a, "text %d", i);
        m.created_us = 1000 - i; /* the clock may go backwards, the order does not */
        struct store_appended out;
        assert_ok(f, store_message_add(f->st, f->a, &m, &out, &f->e));
        assert_int_equal(out.messages[0].seq, i);
        assert_int_equal(out.conversation.message_count, i);
    }
    reopen(f);
    struct message_page page = list(f, (struct message_query){.conversation_id = STR("c")});
    assert_int_equal(page.n, 9);
    assert_false(page.more);
    for (size_t i = 0; i < 9; i++) {
        char text[16];
        snprintf(text, sizeof text, "text %zu", i + 1);
        assert_str(page.items[i].content, text);
        assert_int_equal(page.items[i].seq, i + 1);
    }
}

static void pages_by_seq(struct fixture *f)
{
    make_conversation(f, "chat", "c", 10);
    struct message_query query = {.conversation_id = STR("c"), .limit = 3};
    struct message_page page = list(f, query);
    assert_int_equal(page.items[0].seq, 1);
    assert_int_equal(page.n, 3);
    assert_true(page.more);
    query.after = 8;
    page = list(f, query);
    assert_int_equal(page.items[0].seq, 9);
    assert_int_equal(page.n, 2);
    assert_false(page.more);
    query.after = 10;
    assert_int_equal(list(f, query).n, 0);
    query.after = 99;
    assert_int_equal(list(f, query).n, 0);
    query = (struct message_query){.conversation_id = STR("c"), .before = 5, .limit = 2, .newest = true};
    page = list(f, query);
    assert_int_equal(page.items[0].seq, 3);
    assert_int_equal(page.items[1].seq, 4);
    assert_true(page.more);
    query.after = 2;
    assert_false(list(f, query).more);
    query = (struct message_query){.conversation_id = STR("c"), .after = 4, .before = 6};
    page = list(f, query);
    assert_int_equal(page.n, 1);
    assert_int_equal(page.items[0].seq, 5);
    assert_ok(f, store_message_last(f->st, f->a, STR("c"), 4, &page, &f->e));
    assert_int_equal(page.n, 4);
    assert_int_equal(page.items[0].seq, 7);
    assert_int_equal(page.items[3].seq, 10);
    assert_ok(f, store_message_last(f->st, f->a, STR("unknown"), 4, &page, &f->e));
    assert_int_equal(page.n, 0);
}

static void every_member_comes_back(struct fixture *f)
{
    make_conversation(f, "chat", "c", 0);
    static const char content[] = "Gr\xc3\xbc\xc3\x9f"
                                  "e \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x91\x8b\n\"'%\\ -- ; \x01 \0 end";
    struct message m = {.conversation_id = STR("c"),
                        .id = STR("m1"),
                        .role = STR("tool"),
                        .content = {content, sizeof content - 1},
                        .client_id = STR("client \xe2\x82\xac"),
                        .meta = STR("{\"audioUrl\":\"/a.mp3\"}"),
                        .created_us = 123456789,
                        .status = MESSAGE_FAILED};
    struct store_appended added;
    struct message got;
    assert_ok(f, store_message_add(f->st, f->a, &m, &added, &f->e));
    reopen(f);
    struct message_ref ref = {STR("c"), STR("m1")};
    assert_ok(f, store_message_get(f->st, f->a, &ref, &got, &f->e));
    assert_int_equal(got.content.n, sizeof content - 1);
    assert_memory_equal(got.content.p, content, got.content.n);
    assert_str(got.role, "tool");
    assert_str(got.client_id, "client \xe2\x82\xac");
    assert_str(got.meta, "{\"audioUrl\":\"/a.mp3\"}");
    assert_str(got.conversation_id, "c");
    assert_int_equal(got.created_us, 123456789);
    assert_int_equal(got.status, MESSAGE_FAILED);
    assert_int_equal(got.seq, 1);
    ref.id = STR("m2");
    assert_error(f, store_message_get(f->st, f->a, &ref, &got, &f->e), ERR_MESSAGE_NOT_FOUND);
    ref = (struct message_ref){STR("other"), STR("m1")};
    assert_error(f, store_message_get(f->st, f->a, &ref, &got, &f->e), ERR_MESSAGE_NOT_FOUND);
}

static void a_megabyte_fits_and_too_much_is_refused(struct fixture *f)
{
    char *big = arena_alloc(f->a, LIMIT_REPLY_TEXT + 1);
    for (size_t i = 0; i <= LIMIT_REPLY_TEXT; i++)
        big[i] = (char)('a' + i % 26);
    make_conversation(f, "chat", "c", 0);
    struct message m = text_message(f, "c", ""), got;
    struct store_appended added;
    m.content = str_n(big, MIB(1));
    assert_ok(f, store_message_add(f->st, f->a, &m, &added, &f->e));
    m.content = str_n(big, LIMIT_REPLY_TEXT + 1);
    assert_error(f, store_message_add(f->st, f->a, &m, &added, &f->e), ERR_INVALID_REQUEST);
    struct message_ref ref = {STR("c"), added.messages[0].id};
    assert_ok(f, store_message_get(f->st, f->a, &ref, &got, &f->e));
    assert_int_equal(got.content.n, MIB(1));
    assert_memory_equal(got.content.p, big, MIB(1));
}

static void a_page_ends_by_weight(struct fixture *f)
{
    char *big = arena_alloc(f->a, LIMIT_REPLY_TEXT);
    memset(big, 'w', LIMIT_REPLY_TEXT);
    make_conversation(f, "chat", "c", 1);
    for (int i = 0; i < 5; i++) {
        struct message m = text_message(f, "c", "");
        struct store_appended added;
        m.content = str_n(big, LIMIT_REPLY_TEXT);
        assert_ok(f, store_message_add(f->st, f->a, &m, &added, &f->e));
    }
    struct message_page page = list(f, (struct message_query){.conversation_id = STR("c")});
    assert_int_equal(page.n, 5);
    assert_true(page.more);
    page = list(f, (struct message_query){.conversation_id = STR("c"), .newest = true});
    assert_int_equal(page.n, 4);
    assert_int_equal(page.items[3].seq, 6);
    assert_true(page.more);
}

static void update_writes_what_is_named(struct fixture *f)
{
    make_conversation(f, "chat", "c", 0);
    struct message m = text_message(f, "c", "");
    struct store_appended added;
    struct conversation before, after;
    struct message got;
    m.id = STR("m");
    m.status = MESSAGE_STREAMING;
    m.meta = STR("{}");
    assert_ok(f, store_message_add(f->st, f->a, &m, &added, &f->e));
    assert_ok(f, store_conversation_get(f->st, f->a, STR("c"), &before, &f->e));
    struct message_change change = {.to = {.conversation_id = STR("c"), .id = STR("m"), .content = STR("Hel")},
                                    .set = MESSAGE_SET_CONTENT};
    assert_ok(f, store_message_update(f->st, &change, &f->e));
    struct message_ref ref = {STR("c"), STR("m")};
    assert_ok(f, store_message_get(f->st, f->a, &ref, &got, &f->e));
    assert_str(got.content, "Hel");
    assert_int_equal(got.status, MESSAGE_STREAMING);
    assert_str(got.meta, "{}");
    change.to.content = STR("ignored");
    change.to.status = MESSAGE_COMPLETE;
    change.to.meta = STR("{\"x\":1}");
    change.set = MESSAGE_SET_STATUS | MESSAGE_SET_META;
    change.touch_us = before.updated_us + 5;
    assert_ok(f, store_message_update(f->st, &change, &f->e));
    assert_ok(f, store_message_get(f->st, f->a, &ref, &got, &f->e));
    assert_str(got.content, "Hel");
    assert_int_equal(got.status, MESSAGE_COMPLETE);
    assert_str(got.meta, "{\"x\":1}");
    assert_ok(f, store_conversation_get(f->st, f->a, STR("c"), &after, &f->e));
    assert_int_equal(after.updated_us, before.updated_us + 5);
    change.touch_us = 1;
    assert_ok(f, store_message_update(f->st, &change, &f->e));
    assert_ok(f, store_conversation_get(f->st, f->a, STR("c"), &after, &f->e));
    assert_int_equal(after.updated_us, before.updated_us + 5);
    change.to.id = STR("none");
    assert_error(f, store_message_update(f->st, &change, &f->e), ERR_MESSAGE_NOT_FOUND);
}

static void append_is_all_or_nothing(struct fixture *f)
{
    make_conversation(f, "chat", "c", 1);
    struct message list3[3];
    struct store_appended out;
    struct conversation got;
    for (int i = 0; i < 3; i++) {
        list3[i] = text_message(f, "", "x");
        list3[i].id = i == 2 ? STR("twin-0") : arena_printf(f->a, "twin-%d", i);
    }
    struct store_append append = {.conversation.id = STR("c"), .messages = list3, .n = 3};
    assert_error(f, store_append(f->st, f->a, &append, &out, &f->e), ERR_CONFLICT);
    assert_ok(f, store_conversation_get(f->st, f->a, STR("c"), &got, &f->e));
    assert_int_equal(got.message_count, 1);
    assert_int_equal(list(f, (struct message_query){.conversation_id = STR("c")}).n, 1);
    /* With the conversation to be made, that is not made either. */
    append.mode = APPEND_OR_CREATE;
    append.conversation.id = STR("new");
    assert_error(f, store_append(f->st, f->a, &append, &out, &f->e), ERR_CONFLICT);
    assert_error(f, store_conversation_get(f->st, f->a, STR("new"), &got, &f->e), ERR_CONVERSATION_NOT_FOUND);
    append.n = 2;
    assert_ok(f, store_append(f->st, f->a, &append, &out, &f->e));
    assert_true(out.created);
    assert_int_equal(out.messages[1].seq, 2);
    /* The same message id in another conversation is another message. */
    append.conversation.id = STR("c");
    assert_ok(f, store_append(f->st, f->a, &append, &out, &f->e));
    assert_false(out.created);
    assert_error(f, store_append(f->st, f->a, &append, &out, &f->e), ERR_CONFLICT);
    append.n = STORE_APPEND + 1;
    assert_error(f, store_append(f->st, f->a, &append, &out, &f->e), ERR_INVALID_REQUEST);
    append.n = 0;
    assert_ok(f, store_append(f->st, f->a, &append, &out, &f->e));
    assert_int_equal(out.conversation.message_count, 3);
    append.mode = APPEND_EXISTING;
    append.conversation.id = STR("nowhere");
    assert_error(f, store_append(f->st, f->a, &append, &out, &f->e), ERR_CONVERSATION_NOT_FOUND);
    append.conversation.id = STR_NONE;
    assert_error(f, store_append(f->st, f->a, &append, &out, &f->e), ERR_INVALID_REQUEST);
}

static void client_id_is_stored_once(struct fixture *f)
{
    make_conversation(f, "chat", "c", 2);
    make_conversation(f, "chat", "d", 0);
    struct message m = text_message(f, "c", "once");
    struct store_appended first, again;
    m.client_id = STR("k1");
    assert_ok(f, store_message_add(f->st, f->a, &m, &first, &f->e));
    assert_false(first.duplicate);
    m.content = STR("twice");
    m.id = STR("other id");
    assert_ok(f, store_message_add(f->st, f->a, &m, &again, &f->e));
    assert_true(again.duplicate);
    assert_int_equal(again.n, 1);
    assert_true(str_eq(again.messages[0].id, first.messages[0].id));
    assert_str(again.messages[0].content, "once");
    assert_int_equal(again.messages[0].seq, 3);
    assert_int_equal(again.conversation.message_count, 3);
    m.conversation_id = STR("d");
    assert_ok(f, store_message_add(f->st, f->a, &m, &again, &f->e));
    assert_false(again.duplicate);
    reopen(f);
    m.conversation_id = STR("c");
    assert_ok(f, store_message_add(f->st, f->a, &m, &again, &f->e));
    assert_true(again.duplicate);
    /* Within one call, two of a kind cannot both be stored. */
    struct message twins[2] = {text_message(f, "", "a"), text_message(f, "", "b")};
    twins[0].client_id = twins[1].client_id = STR("k2");
    struct store_append append = {.conversation.id = STR("d"), .messages = twins, .n = 2};
    assert_error(f, store_append(f->st, f->a, &append, &again, &f->e), ERR_CONFLICT);
    assert_int_equal(list(f, (struct message_query){.conversation_id = STR("d")}).n, 1);
}

static void turn_begins_whole(struct fixture *f)
{
    struct turn_begin turn = {.create = true, .user = text_message(f, "", "hello"), .reply.id = STR("reply")};
    struct store_appended out;
    struct conversation got;
    turn.conversation = (struct conversation){.id = STR("c"), .space = STR("chat"), .title = STR("hello")};
    turn.user.client_id = STR("k");
    turn.reply.content = STR("not stored");
    assert_ok(f, store_turn_begin(f->st, f->a, &turn, &out, &f->e));
    assert_true(out.created);
    assert_int_equal(out.n, 2);
    assert_str(out.conversation.title, "hello");
    assert_int_equal(out.messages[0].status, MESSAGE_COMPLETE);
    assert_int_equal(out.messages[1].status, MESSAGE_STREAMING);
    assert_str(out.messages[1].role, "assistant");
    assert_str(out.messages[1].id, "reply");
    assert_str(out.messages[1].content, "");
    assert_int_equal(out.conversation.message_count, 2);
    /* Sent again, it answers with what is stored: the reply as it is by now. */
    struct message_change change = {.to = {.conversation_id = STR("c"), .id = STR("reply"), .content = STR("Hi!")},
                                    .set = MESSAGE_SET_CONTENT | MESSAGE_SET_STATUS};
    assert_ok(f, store_message_update(f->st, &change, &f->e));
    turn.reply.id = STR("reply 2");
    assert_ok(f, store_turn_begin(f->st, f->a, &turn, &out, &f->e));
    assert_true(out.duplicate);
    assert_int_equal(out.n, 2);
    assert_str(out.messages[1].content, "Hi!");
    assert_int_equal(out.messages[1].status, MESSAGE_COMPLETE);
    /* A reply id that exists: neither message. */
    turn.user.client_id = STR("k2");
    turn.reply.id = STR("reply");
    assert_error(f, store_turn_begin(f->st, f->a, &turn, &out, &f->e), ERR_CONFLICT);
    turn.create = false;
    turn.conversation.id = STR("unknown");
    assert_error(f, store_turn_begin(f->st, f->a, &turn, &out, &f->e), ERR_CONVERSATION_NOT_FOUND);
    assert_error(f, store_conversation_get(f->st, f->a, STR("unknown"), &got, &f->e), ERR_CONVERSATION_NOT_FOUND);
    assert_ok(f, store_conversation_get(f->st, f->a, STR("c"), &got, &f->e));
    assert_int_equal(got.message_count, 2);
}

static void turn_duplicate_without_reply(struct fixture *f)
{
    make_conversation(f, "chat", "c", 0);
    struct message m = text_message(f, "c", "x");
    struct store_appended out;
    struct turn_begin turn = {.conversation.id = STR("c"), .user = m};
    m.client_id = turn.user.client_id = STR("k");
    assert_ok(f, store_message_add(f->st, f->a, &m, &out, &f->e));
    assert_ok(f, store_turn_begin(f->st, f->a, &turn, &out, &f->e));
    assert_true(out.duplicate);
    assert_int_equal(out.n, 1);
    m.client_id = STR_NONE;
    assert_ok(f, store_message_add(f->st, f->a, &m, &out, &f->e));
    assert_ok(f, store_turn_begin(f->st, f->a, &turn, &out, &f->e));
    assert_int_equal(out.n, 1); /* what follows is another user message, not a reply */
}

static void spaces_and_owners_are_kept_apart(struct fixture *f)
{
    struct store_append owned = {.conversation = {.id = STR("c"), .space = STR("care"), .owner = STR("u1")}};
    struct store_appended out;
    assert_ok(f, store_conversation_create(f->st, f->a, &owned, &out, &f->e));
    struct turn_begin turn = {.create = true, .user = text_message(f, "", "let me in")};
    turn.conversation = (struct conversation){.id = STR("c"), .space = STR("chat")};
    assert_error(f, store_turn_begin(f->st, f->a, &turn, &out, &f->e), ERR_CONVERSATION_NOT_FOUND);
    turn.conversation.space = STR("care");
    assert_error(f, store_turn_begin(f->st, f->a, &turn, &out, &f->e), ERR_CONVERSATION_NOT_FOUND);
    turn.conversation.owner = STR("u2");
    assert_error(f, store_turn_begin(f->st, f->a, &turn, &out, &f->e), ERR_CONVERSATION_NOT_FOUND);
    turn.conversation.owner = STR("u1");
    assert_ok(f, store_turn_begin(f->st, f->a, &turn, &out, &f->e));
    assert_false(out.created);
    turn.conversation = (struct conversation){.id = STR("c")};
    turn.reply.id = STR_NONE;
    assert_ok(f, store_turn_begin(f->st, f->a, &turn, &out, &f->e));
}

static void streaming_replies_are_interrupted_at_start(struct fixture *f)
{
    struct turn_begin turn = {.create = true, .user = text_message(f, "", "x"), .reply.id = STR("r")};
    struct store_appended out;
    struct message got;
    int64_t count;
    for (int i = 0; i < 5; i++) {
        turn.conversation.id = arena_printf(f->a, "c%d", i);
        assert_ok(f, store_turn_begin(f->st, f->a, &turn, &out, &f->e));
        struct message_change change = {.to = {.conversation_id = turn.conversation.id, .id = STR("r")}};
        change.to.content = STR("half a rep");
        change.set = MESSAGE_SET_CONTENT | (i < 2 ? MESSAGE_SET_STATUS : 0u);
        assert_ok(f, store_message_update(f->st, &change, &f->e));
    }
    reopen(f);
    assert_ok(f, store_interrupt_streaming(f->st, &count, &f->e));
    assert_int_equal(count, 3);
    assert_ok(f, store_interrupt_streaming(f->st, &count, &f->e));
    assert_int_equal(count, 0);
    struct message_ref ref = {STR("c4"), STR("r")};
    assert_ok(f, store_message_get(f->st, f->a, &ref, &got, &f->e));
    assert_int_equal(got.status, MESSAGE_INTERRUPTED);
    assert_str(got.content, "half a rep");
    ref.conversation_id = STR("c0");
    assert_ok(f, store_message_get(f->st, f->a, &ref, &got, &f->e));
    assert_int_equal(got.status, MESSAGE_COMPLETE);
}

const struct suite_test message_tests[] = {
    {"messages keep order after reopen", messages_keep_order_after_reopen},
    {"pages by seq", pages_by_seq},
    {"every member comes back", every_member_comes_back},
    {"a megabyte fits and too much is refused", a_megabyte_fits_and_too_much_is_refused},
    {"a page ends by weight", a_page_ends_by_weight},
    {"update writes what is named", update_writes_what_is_named},
    {"append is all or nothing", append_is_all_or_nothing},
    {"client id is stored once", client_id_is_stored_once},
    {"turn begins whole", turn_begins_whole},
    {"turn duplicate without reply", turn_duplicate_without_reply},
    {"spaces and owners are kept apart", spaces_and_owners_are_kept_apart},
    {"streaming replies are interrupted at start", streaming_replies_are_interrupted_at_start},
    {0},
};
