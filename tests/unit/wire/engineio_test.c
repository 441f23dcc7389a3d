#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire/base64.h"
#include "wire/engineio.h"

#include <stdlib.h>

/* Reads a body in memory of its own and writes "type|data;" per packet, "b|data;" for binary, "!" at a refusal. */
static const char *read_body(struct buf *out, enum eio_form form, struct str body)
{
    struct buf scratch = BUF_INIT(KIB(4));
    struct eio_payload it;
    struct eio_packet packet;
    struct err e = {0};
    char *copy = mem_alloc(body.n ? body.n : 1);
    memcpy(copy, body.p, body.n);
    buf_clear(out);
    int got = eio_payload_begin(&it, form, str_n(copy, body.n), &e);
    while (got == 0 && (got = eio_payload_next(&it, &scratch, &packet, &e)) == 1) {
        assert_true(packet.type <= EIO_NOOP && (!packet.binary || packet.type == EIO_MESSAGE));
        buf_byte(out, packet.binary ? 'b' : (char)('0' + (int)packet.type));
        buf_addf(out, "|%.*s;", STR_ARG(packet.data));
        got = 0;
    }
    if (got < 0) {
        assert_int_equal(e.code, ERR_INVALID_REQUEST);
        assert_true(e.text[0]);
        buf_byte(out, '!');
    }
    buf_free(&scratch);
    free(copy);
    return buf_cstr(out);
}

static void refused_text(enum eio_version version, struct str text, const char *why)
{
    struct buf scratch = BUF_INIT(100);
    struct eio_packet packet = {.type = EIO_NOOP, .data = STR("untouched")};
    struct err e = {0};
    char *copy = str_dup(text);
    assert_int_equal(eio_text(version, str_n(copy, text.n), &scratch, &packet, &e), -1);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
    assert_string_equal(e.text, why);
    assert_true(str_eqc(packet.data, "untouched"));
    buf_free(&scratch);
    free(copy);
}

static void text_frames(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum eio_type type;
        const char *data;
    } rows[] = {
        {"0{}", EIO_OPEN, "{}"},        {"1", EIO_CLOSE, ""},   {"2probe", EIO_PING, "probe"},
        {"3probe", EIO_PONG, "probe"},  {"2", EIO_PING, ""},    {"4hello", EIO_MESSAGE, "hello"},
        {"4", EIO_MESSAGE, ""},         {"5", EIO_UPGRADE, ""}, {"6", EIO_NOOP, ""},
        {"4\x1e", EIO_MESSAGE, "\x1e"},
    };
    struct buf scratch = BUF_INIT(0), out = BUF_INIT(100);
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (enum eio_version version = EIO_V3; version <= EIO_V4; version++) {
            struct eio_packet packet;
            struct str text = str_c(rows[i].text);
            assert_int_equal(eio_text(version, text, &scratch, &packet, NULL), 0);
            assert_int_equal(packet.type, rows[i].type);
            assert_false(packet.binary);
            assert_true(str_eqc(packet.data, rows[i].data));
            assert_ptr_equal(packet.data.p, text.p + 1);
            buf_clear(&out);
            assert_int_equal(eio_text_put(&out, packet.type, packet.data), 0);
            assert_true(str_eq(buf_str(&out), text));
        }
    }
    buf_free(&out);
}

static void base64_in_text_frames(void **state)
{
    (void)state;
    struct buf scratch = BUF_INIT(4);
    struct eio_packet packet;
    struct err e;
    assert_int_equal(eio_text(EIO_V4, STR("bAQIDBA=="), &scratch, &packet, NULL), 0);
    assert_true(packet.binary && packet.type == EIO_MESSAGE && str_eq(packet.data, STR("\1\2\3\4")));
    assert_int_equal(eio_text(EIO_V3, STR("b4AQID"), &scratch, &packet, NULL), 0);
    assert_true(packet.binary && packet.type == EIO_MESSAGE && str_eq(packet.data, STR("\1\2\3")));
    assert_int_equal(eio_text(EIO_V4, STR("b"), &scratch, &packet, NULL), 0);
    assert_true(packet.binary && packet.data.n == 0);
    assert_int_equal(eio_text(EIO_V3, STR("b4"), &scratch, &packet, NULL), 0);
    assert_true(packet.binary && packet.data.n == 0);
    assert_int_equal(eio_text(EIO_V4, STR("bAQIDBAU="), &scratch, &packet, &e), -1);
    assert_int_equal(e.code, ERR_BODY_TOO_LARGE);
    buf_free(&scratch);
}

/* As the Java client sends what it posts. */
static void wrapped_base64(void **state)
{
    (void)state;
    static const char *const good[] = {"bAQIDBA==\n", "bAQID\nBA==\n", "bAQID\r\nBA==", "b\n\nAQIDBA\n\n"};
    static const char *const wrong[] = {"bAQ\nIDBA==", "bAQ==\nAQID", "bAQI\nDBA=\n=", "bAQID\rBA==", "bAQID \n"};
    struct buf scratch = BUF_INIT(4);
    struct eio_packet packet;
    struct err e;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(eio_text(EIO_V4, str_c(good[i]), &scratch, &packet, NULL), 0);
        assert_true(packet.binary && str_eq(packet.data, STR("\1\2\3\4")));
    }
    for (size_t i = 0; i < COUNT(wrong); i++)
        refused_text(EIO_V4, str_c(wrong[i]), "Binary packet is no base64");
    assert_int_equal(eio_text(EIO_V4, STR("bAQID\nBAU=\n"), &scratch, &packet, &e), -1);
    assert_int_equal(e.code, ERR_BODY_TOO_LARGE);
    buf_free(&scratch);
}

static void malformed_text_frames(void **state)
{
    (void)state;
    for (enum eio_version version = EIO_V3; version <= EIO_V4; version++) {
        refused_text(version, STR(""), "Empty packet");
        refused_text(version, STR("abc"), "Unknown packet type");
        refused_text(version, STR("7"), "Unknown packet type");
        refused_text(version, STR("/"), "Unknown packet type");
        refused_text(version, STR("B4AQID"), "Unknown packet type");
        refused_text(version, STR("\x04"), "Unknown packet type");
        refused_text(version, STR(" 4"), "Unknown packet type");
    }
    refused_text(EIO_V4, STR("bA"), "Binary packet is no base64");
    refused_text(EIO_V4, STR("bAQ ID"), "Binary packet is no base64");
    refused_text(EIO_V4, STR("bAQID="), "Binary packet is no base64");
    refused_text(EIO_V3, STR("b"), "Binary packet is no message");
    refused_text(EIO_V3, STR("b2AQID"), "Binary packet is no message");
    refused_text(EIO_V3, STR("bAQID"), "Binary packet is no message");
    refused_text(EIO_V3, STR("b4A"), "Binary packet is no base64");
}

static void binary_frames(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(100);
    struct eio_packet packet = {.type = EIO_NOOP};
    struct err e;
    struct str four = STR("\4\1\2\3");
    assert_int_equal(eio_binary(EIO_V4, four, &packet, NULL), 0);
    assert_true(packet.binary && packet.type == EIO_MESSAGE && str_eq(packet.data, four));
    assert_int_equal(eio_binary(EIO_V4, STR(""), &packet, NULL), 0);
    assert_true(packet.binary && packet.data.n == 0);
    assert_int_equal(eio_binary(EIO_V3, four, &packet, NULL), 0);
    assert_true(packet.binary && packet.type == EIO_MESSAGE && str_eq(packet.data, STR("\1\2\3")));
    assert_ptr_equal(packet.data.p, four.p + 1);
    assert_int_equal(eio_binary(EIO_V3, STR(""), &packet, &e), -1);
    assert_string_equal(e.text, "Empty packet");
    assert_int_equal(eio_binary(EIO_V3, STR("4abc"), &packet, &e), -1);
    assert_string_equal(e.text, "Binary packet is no message");
    assert_int_equal(eio_binary_put(&out, EIO_V4, STR("\1\2")), 0);
    assert_true(str_eq(buf_str(&out), STR("\1\2")));
    assert_int_equal(eio_binary_put(&out, EIO_V3, STR("\3")), 0);
    assert_true(str_eq(buf_str(&out), STR("\1\2\4\3")));
    buf_free(&out);
}

static void payloads(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(KIB(4));
    assert_string_equal(read_body(&out, EIO_FORM_V4,
                                  STR("4hello\x1e"
                                      "bAQIDBA==\x1e"
                                      "2")),
                        "4|hello;b|\1\2\3\4;2|;");
    assert_string_equal(read_body(&out, EIO_FORM_V4,
                                  STR("4test1\x1e"
                                      "4test2\x1e"
                                      "4test3")),
                        "4|test1;4|test2;4|test3;");
    assert_string_equal(read_body(&out, EIO_FORM_V4, STR("1")), "1|;");
    assert_string_equal(read_body(&out, EIO_FORM_V4, STR("b")), "b|;");
    assert_string_equal(read_body(&out, EIO_FORM_V3, STR("6:4hello")), "4|hello;");
    assert_string_equal(read_body(&out, EIO_FORM_V3, STR("6:4hello10:b4AQIDBA==")), "4|hello;b|\1\2\3\4;");
    assert_string_equal(read_body(&out, EIO_FORM_V3, STR("1:11:6")), "1|;6|;");
    assert_string_equal(read_body(&out, EIO_FORM_V3, STR("4:4:4:1:2")), "4|:4:;2|;");
    assert_string_equal(read_body(&out, EIO_FORM_V3, STR("006:4hello")), "4|hello;");
    /* One character past the BMP is two units, one of three bytes a single one. */
    assert_string_equal(read_body(&out, EIO_FORM_V3,
                                  STR("3:4\xF0\x9F\x98\x80"
                                      "2:4\xE2\x82\xAC")),
                        "4|\xF0\x9F\x98\x80;4|\xE2\x82\xAC;");
    assert_string_equal(read_body(&out, EIO_FORM_V3_B2,
                                  STR("\0\6\xFF"
                                      "4hello\1\5\xFF\4\1\2\3\4")),
                        "4|hello;b|\1\2\3\4;");
    assert_string_equal(read_body(&out, EIO_FORM_V3_B2,
                                  STR("\0\1\2\xFF"
                                      "4hello world\0\1\xFF"
                                      "2")),
                        "4|hello world;2|;");
    assert_string_equal(read_body(&out, EIO_FORM_V3_B2,
                                  STR("\0\6\xFF"
                                      "b4AQID\0\4\xFF"
                                      "4\xE2\x82\xAC")),
                        "b|\1\2\3;4|\xE2\x82\xAC;");
    buf_free(&out);
}

static void malformed_payloads(void **state)
{
    (void)state;
    static const struct {
        enum eio_form form;
        struct str body;
        const char *want;
    } rows[] = {
        {EIO_FORM_V4, {"", 0}, "!"},
        {EIO_FORM_V4, {"abc", 3}, "!"},
        {EIO_FORM_V4, {"\x1e", 1}, "!"},
        {EIO_FORM_V4, {"4a\x1e", 3}, "4|a;!"},
        {EIO_FORM_V4,
         {"\x1e"
          "4a",
          3},
         "!"},
        {EIO_FORM_V4,
         {"4a\x1e\x1e"
          "4b",
          6},
         "4|a;!"},
        {EIO_FORM_V4,
         {"4a\x1e"
          "bAQ*D",
          8},
         "4|a;!"},
        {EIO_FORM_V4, {"4a\xFF", 3}, "!"},
        {EIO_FORM_V4, {"4\xE2\x82", 3}, "!"},
        {EIO_FORM_V4, {"4\xE2\x1e\x82\xAC", 5}, "!"},
        {EIO_FORM_V3, {"", 0}, "!"},
        {EIO_FORM_V3, {"abc", 3}, "!"},
        {EIO_FORM_V3, {":4a", 3}, "!"},
        {EIO_FORM_V3, {"0:", 2}, "!"},
        {EIO_FORM_V3, {"3:4a", 4}, "!"},
        {EIO_FORM_V3, {"1:4a", 4}, "4|;!"},
        {EIO_FORM_V3, {"2:4a2", 5}, "4|a;!"},
        {EIO_FORM_V3, {"2:4a\n", 5}, "4|a;!"},
        {EIO_FORM_V3, {"-2:4a", 5}, "!"},
        {EIO_FORM_V3, {" 2:4a", 5}, "!"},
        {EIO_FORM_V3, {"2e0:4a", 6}, "!"},
        {EIO_FORM_V3, {"18446744073709551617:4", 22}, "!"},
        {EIO_FORM_V3, {"18446744073709551615:4", 22}, "!"},
        {EIO_FORM_V3, {"000000000000000000002:4a", 24}, "!"},
        {EIO_FORM_V3, {"2:4\xF0\x9F\x98\x80", 7}, "!"},
        {EIO_FORM_V3, {"4:b4A", 5}, "!"},
        {EIO_FORM_V3, {"3:b4A", 5}, "!"},
        {EIO_FORM_V3, {"2:4\xC3", 4}, "!"},
        {EIO_FORM_V3_B2, {"", 0}, "!"},
        {EIO_FORM_V3_B2,
         {"\2\1\xFF"
          "4",
          4},
         "!"},
        {EIO_FORM_V3_B2, {"6:4hello", 8}, "!"},
        {EIO_FORM_V3_B2, {"\0", 1}, "!"},
        {EIO_FORM_V3_B2, {"\0\1", 2}, "!"},
        {EIO_FORM_V3_B2,
         {"\0\xFF"
          "4",
          3},
         "!"},
        {EIO_FORM_V3_B2, {"\0\0\xFF", 3}, "!"},
        {EIO_FORM_V3_B2, {"\1\0\xFF", 3}, "!"},
        {EIO_FORM_V3_B2,
         {"\0\2\xFF"
          "4",
          4},
         "!"},
        {EIO_FORM_V3_B2,
         {"\0\x0A\xFF"
          "4123456789",
          13},
         "!"},
        {EIO_FORM_V3_B2,
         {"\0"
          "1\xFF"
          "4",
          4},
         "!"},
        {EIO_FORM_V3_B2,
         {"\0\x80\xFF"
          "4",
          4},
         "!"},
        {EIO_FORM_V3_B2,
         {"\1\1\xFF"
          "4",
          4},
         "!"},
        {EIO_FORM_V3_B2, {"\1\2\xFF\2a", 5}, "!"},
        {EIO_FORM_V3_B2, {"\0\1\xFF\4", 4}, "!"},
        {EIO_FORM_V3_B2,
         {"\0\2\xFF"
          "4\xE2",
          5},
         "!"},
        {EIO_FORM_V3_B2,
         {"\0\2\xFF"
          "4a\0",
          6},
         "4|a;!"},
        {EIO_FORM_V3_B2,
         {"\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xFF"
          "4",
          24},
         "!"},
    };
    struct buf out = BUF_INIT(KIB(4));
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_string_equal(read_body(&out, rows[i].form, rows[i].body), rows[i].want);
    buf_free(&out);
}

/* Every truncation is refused or ends with a packet, without reading past the end. */
static void truncated_payloads(void **state)
{
    (void)state;
    static const struct {
        enum eio_form form;
        struct str body;
    } rows[] = {
        {EIO_FORM_V4,
         {"4hello\x1e"
          "bAQIDBA==\x1e"
          "2probe\x1e"
          "4\xE2\x82\xAC",
          29}},
        {EIO_FORM_V3, {"6:4hello10:b4AQIDBA==12:4hello world3:4\xF0\x9F\x98\x80", 43}},
        {EIO_FORM_V3_B2,
         {"\0\6\xFF"
          "4hello\1\1\0\xFF\4"
          "123456789\0\4\xFF"
          "4\xE2\x82\xAC",
          30}},
    };
    struct buf out = BUF_INIT(KIB(4));
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_null(strchr(read_body(&out, rows[i].form, rows[i].body), '!'));
        for (size_t n = 0; n < rows[i].body.n; n++) {
            bool refused = strchr(read_body(&out, rows[i].form, str_n(rows[i].body.p, n)), '!') != NULL;
            /* Only the separated form cannot tell a packet that was cut from a shorter one. */
            assert_true(refused || rows[i].form == EIO_FORM_V4 || n == 8 || n == 9 || n == 21 || n == 23 || n == 36);
        }
    }
    buf_free(&out);
}

static void after_a_refusal_the_walk_is_over(void **state)
{
    (void)state;
    struct buf scratch = BUF_INIT(100);
    struct eio_payload it;
    struct eio_packet packet;
    assert_int_equal(eio_payload_begin(&it, EIO_FORM_V4,
                                       STR("x\x1e"
                                           "4a"),
                                       NULL),
                     0);
    assert_int_equal(eio_payload_next(&it, &scratch, &packet, NULL), -1);
    assert_int_equal(eio_payload_next(&it, &scratch, &packet, NULL), 0);
    assert_int_equal(eio_payload_begin(&it, EIO_FORM_V4, STR("4a"), NULL), 0);
    assert_int_equal(eio_payload_next(&it, &scratch, &packet, NULL), 1);
    assert_int_equal(eio_payload_next(&it, &scratch, &packet, NULL), 0);
    assert_int_equal(eio_payload_next(&it, &scratch, &packet, NULL), 0);
    assert_null(scratch.data);
}

static void assert_written(enum eio_form form, struct str want)
{
    static const struct eio_packet packets[] = {
        {EIO_MESSAGE, false, {"hello", 5}}, {EIO_MESSAGE, true, {"\1\2\3\4", 4}},          {EIO_PING, false, {"", 0}},
        {EIO_MESSAGE, true, {"", 0}},       {EIO_MESSAGE, false, {"\xF0\x9F\x98\x80", 4}},
    };
    struct buf out = BUF_INIT(100);
    for (size_t i = 0; i < COUNT(packets); i++)
        assert_int_equal(eio_payload_put(&out, form, &packets[i]), 0);
    assert_int_equal(out.len, want.n);
    assert_memory_equal(buf_str(&out).p, want.p, want.n);
    /* Each packet is added whole or not at all. */
    for (size_t max = 0; max < want.n; max++) {
        struct buf small = BUF_INIT(max);
        size_t before = 0, i = 0;
        while (i < COUNT(packets) && eio_payload_put(&small, form, &packets[i]) == 0) {
            before = small.len;
            i++;
        }
        assert_true(i < COUNT(packets));
        assert_int_equal(small.len, before);
        buf_free(&small);
    }
    buf_free(&out);
}

static void writing_payloads(void **state)
{
    (void)state;
    assert_written(EIO_FORM_V4, STR("4hello\x1e"
                                    "bAQIDBA==\x1e"
                                    "2\x1e"
                                    "b\x1e"
                                    "4\xF0\x9F\x98\x80"));
    assert_written(EIO_FORM_V3, STR("6:4hello10:b4AQIDBA==1:22:b43:4\xF0\x9F\x98\x80"));
    assert_written(EIO_FORM_V3_B2, STR("\0\6\xFF"
                                       "4hello\1\5\xFF\4\1\2\3\4\0\1\xFF"
                                       "2\1\1\xFF\4\0\5\xFF"
                                       "4\xF0\x9F\x98\x80"));
}

static void the_separator_cannot_be_sent_as_text(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(100);
    struct eio_packet packet = {EIO_MESSAGE, false,
                                STR("a\x1e"
                                    "1")};
    assert_int_equal(eio_payload_put(&out, EIO_FORM_V4, &packet), -1);
    assert_int_equal(out.len, 0);
    assert_int_equal(eio_payload_put(&out, EIO_FORM_V3, &packet), 0);
    packet.binary = true;
    buf_clear(&out);
    assert_int_equal(eio_payload_put(&out, EIO_FORM_V4, &packet), 0);
    buf_free(&out);
}

/* Behind consumed bytes too: the digits of a length are rewritten in place. */
static void a_body_that_is_being_sent(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(100);
    struct eio_packet packet = {EIO_MESSAGE, true, STR("0123456789")};
    buf_lit(&out, "sent1");
    buf_consume(&out, 4);
    assert_int_equal(eio_payload_put(&out, EIO_FORM_V3_B2, &packet), 0);
    assert_true(str_eq(buf_str(&out), STR("1\1\1\1\xFF\4"
                                          "0123456789")));
    buf_free(&out);
}

static void one_megabyte(void **state)
{
    (void)state;
    struct buf data = BUF_INIT(MIB(1)), scratch = BUF_INIT(MIB(1)), small = BUF_INIT(MIB(1) - 1),
               out = BUF_INIT(MIB(4));
    char *bytes = buf_reserve(&data, MIB(1));
    for (size_t i = 0; i < MIB(1); i++)
        bytes[i] = (char)('a' + i % 23);
    buf_commit(&data, MIB(1));
    for (enum eio_form form = EIO_FORM_V4; form <= EIO_FORM_V3_B2; form++) {
        struct eio_packet packet = {EIO_MESSAGE, false, buf_str(&data)}, back;
        struct eio_payload it;
        struct err e;
        buf_clear(&out);
        assert_int_equal(eio_payload_put(&out, form, &packet), 0);
        packet.binary = true;
        assert_int_equal(eio_payload_put(&out, form, &packet), 0);
        assert_int_equal(eio_payload_begin(&it, form, buf_str(&out), NULL), 0);
        for (int binary = 0; binary < 2; binary++) {
            assert_int_equal(eio_payload_next(&it, &scratch, &back, NULL), 1);
            assert_true(back.binary == (binary == 1) && str_eq(back.data, packet.data));
        }
        assert_int_equal(eio_payload_next(&it, &scratch, &back, NULL), 0);
        if (form == EIO_FORM_V3_B2)
            continue;
        assert_int_equal(eio_payload_begin(&it, form, buf_str(&out), NULL), 0);
        assert_int_equal(eio_payload_next(&it, &small, &back, NULL), 1);
        assert_int_equal(eio_payload_next(&it, &small, &back, &e), -1);
        assert_int_equal(e.code, ERR_BODY_TOO_LARGE);
    }
    buf_free(&data);
    buf_free(&scratch);
    buf_free(&small);
    buf_free(&out);
}

static void the_handshake(void **state)
{
    (void)state;
    static const char want[] = "0{\"sid\":\"lv_VI97HAXpY6yYWAAAC\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,"
                               "\"pingTimeout\":20000,\"maxPayload\":1000000}";
    struct eio_open open = {STR("lv_VI97HAXpY6yYWAAAC"), true, 25000, 20000, 1000000};
    struct buf out = BUF_INIT(400);
    assert_int_equal(eio_open_put(&out, &open), 0);
    assert_string_equal(buf_cstr(&out), want);
    for (size_t max = 0; max < sizeof want - 1; max++) {
        struct buf small = BUF_INIT(max);
        assert_int_equal(eio_open_put(&small, &open), -1);
        assert_int_equal(small.len, 0);
        buf_free(&small);
    }
    buf_clear(&out);
    open = (struct eio_open){STR("a\"b"), false, 300, 200, UINT64_MAX};
    assert_int_equal(eio_open_put(&out, &open), 0);
    assert_string_equal(buf_cstr(&out), "0{\"sid\":\"a\\\"b\",\"upgrades\":[],\"pingInterval\":300,\"pingTimeout\":200,"
                                        "\"maxPayload\":18446744073709551615}");
    buf_free(&out);
}

static void frames_past_the_ceiling_add_nothing(void **state)
{
    (void)state;
    for (size_t max = 0; max < 8; max++) {
        struct buf b = BUF_INIT(max);
        assert_int_equal(eio_text_put(&b, EIO_MESSAGE, STR("hello")), max >= 6 ? 0 : -1);
        assert_int_equal(b.len, max >= 6 ? 6 : 0);
        buf_free(&b);
        buf_init(&b, max);
        assert_int_equal(eio_binary_put(&b, EIO_V3, STR("hello")), max >= 6 ? 0 : -1);
        assert_int_equal(b.len, max >= 6 ? 6 : 0);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_frames),
        cmocka_unit_test(base64_in_text_frames),
        cmocka_unit_test(wrapped_base64),
        cmocka_unit_test(malformed_text_frames),
        cmocka_unit_test(binary_frames),
        cmocka_unit_test(payloads),
        cmocka_unit_test(malformed_payloads),
        cmocka_unit_test(truncated_payloads),
        cmocka_unit_test(after_a_refusal_the_walk_is_over),
        cmocka_unit_test(writing_payloads),
        cmocka_unit_test(the_separator_cannot_be_sent_as_text),
        cmocka_unit_test(a_body_that_is_being_sent),
        cmocka_unit_test(one_megabyte),
        cmocka_unit_test(the_handshake),
        cmocka_unit_test(frames_past_the_ceiling_add_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
