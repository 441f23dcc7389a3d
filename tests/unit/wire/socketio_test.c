#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "wire/socketio.h"

#include <stdlib.h>

/* A packet and the memory it points into, of exactly the text's size, so that the sanitizer sees one byte too many. */
struct decoded {
    struct sio_packet packet;
    struct err e;
    char *text;
    int got;
};

static struct decoded decode(struct str text, unsigned max_attachments)
{
    struct decoded d = {.text = mem_alloc(text.n ? text.n : 1), .packet = {.id = 4711}};
    memcpy(d.text, text.p, text.n);
    d.got = sio_decode(str_n(d.text, text.n), max_attachments, &d.packet, &d.e);
    if (d.got < 0) {
        assert_int_equal(d.e.code, ERR_INVALID_REQUEST);
        assert_true(d.e.text[0]);
        assert_int_equal(d.packet.id, 4711);
    }
    return d;
}

/* Decodes, checks that writing gives the same text again, and leaves "type|attachments|namespace|id|name|args". */
static const char *read_packet(struct buf *out, const char *text)
{
    struct decoded d = decode(str_c(text), SIO_ATTACHMENTS);
    const struct sio_packet *p = &d.packet;
    assert_int_equal(d.got, 0);
    buf_clear(out);
    assert_int_equal(sio_put(out, p), 0);
    if (!str_eqc(p->nsp, "/"))
        assert_true(str_starts(buf_str(out), str_c(text)));
    else
        assert_string_equal(buf_cstr(out), text);
    buf_clear(out);
    buf_addf(out, "%d|%u|%.*s|", p->type, p->attachments, STR_ARG(p->nsp));
    if (p->has_id)
        buf_add_u64(out, p->id);
    buf_addf(out, "|%.*s|%.*s", STR_ARG(p->name.raw), STR_ARG(sio_args_text(p)));
    free(d.text);
    return buf_cstr(out);
}

static void refused(struct str text, const char *why)
{
    struct decoded d = decode(text, SIO_ATTACHMENTS);
    assert_int_equal(d.got, -1);
    assert_string_equal(d.e.text, why);
    free(d.text);
}

#define REFUSED(literal, why) refused(STR(literal), why)

static void captured_samples(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(KIB(1));
    assert_string_equal(read_packet(&out, "0"), "0|0|/|||");
    assert_string_equal(read_packet(&out, "0{\"token\":\"x\"}"), "0|0|/|||");
    assert_string_equal(read_packet(&out, "0/admin,{\"token\":\"x\"}"), "0|0|/admin|||");
    assert_string_equal(read_packet(&out, "0{\"sid\":\"oSO0OpakMV_3jnilAAAA\"}"), "0|0|/|||");
    assert_string_equal(read_packet(&out, "0{\"pid\":\"P\",\"offset\":\"O\",\"a\":1}"), "0|0|/|||");
    assert_string_equal(read_packet(&out, "4{\"message\":\"not authorized\",\"data\":{}}"), "4|0|/|||");
    assert_string_equal(read_packet(&out, "4/random,{\"message\":\"Invalid namespace\"}"), "4|0|/random|||");
    assert_string_equal(read_packet(&out, "2[\"chat\",{\"a\":1}]"), "2|0|/||chat|{\"a\":1}");
    assert_string_equal(read_packet(&out, "2/admin,[\"x\"]"), "2|0|/admin||x|");
    assert_string_equal(read_packet(&out, "213[\"chat\",1]"), "2|0|/|13|chat|1");
    assert_string_equal(read_packet(&out, "313[\"ok\"]"), "3|0|/|13||\"ok\"");
    assert_string_equal(
        read_packet(&out, "52-[\"up\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]"),
        "5|2|/||up|{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}");
    assert_string_equal(read_packet(&out, "61-789[{\"_placeholder\":true,\"num\":0}]"),
                        "6|1|/|789||{\"_placeholder\":true,\"num\":0}");
    assert_string_equal(read_packet(&out, "1"), "1|0|/|||");
    assert_string_equal(read_packet(&out, "1/admin,"), "1|0|/admin|||");
    assert_string_equal(read_packet(&out, "0/custom"), "0|0|/custom|||");
    assert_string_equal(read_packet(&out, "1/custom"), "1|0|/custom|||");
    buf_free(&out);
}

static void more_packets(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(KIB(1));
    assert_string_equal(read_packet(&out, "51-/admin,456[\"a\",[{\"b\":{\"_placeholder\":true,\"num\":0}}]]"),
                        "5|1|/admin|456|a|[{\"b\":{\"_placeholder\":true,\"num\":0}}]");
    assert_string_equal(read_packet(&out, "2[12.5,null]"), "2|0|/||12.5|null");
    assert_string_equal(read_packet(&out, "212[12]"), "2|0|/|12|12|");
    assert_string_equal(read_packet(&out, "2[\"\"]"), "2|0|/|||");
    assert_string_equal(read_packet(&out, "30[]"), "3|0|/|0||");
    assert_string_equal(read_packet(&out, "318446744073709551615[]"), "3|0|/|18446744073709551615||");
    assert_string_equal(read_packet(&out, "2[\"a\\\"b,]\" ,\t[1] , \"]\" ]"), "2|0|/||a\\\"b,]|[1] , \"]\"");
    assert_string_equal(read_packet(&out, "4\"Authentication \\\"error\\\"\""), "4|0|/|||");
    assert_string_equal(read_packet(&out, "0/admin?token=x&b=%2C"), "0|0|/admin?token=x&b=%2C|||");
    assert_string_equal(read_packet(&out, "2/caf\xC3\xA9,[\"\xE2\x82\xAC\"]"), "2|0|/caf\xC3\xA9||\xE2\x82\xAC|");
    assert_string_equal(read_packet(&out, "2[\"connected\"]"), "2|0|/||connected|");
    assert_string_equal(read_packet(&out, "2[\"Connect\"]"), "2|0|/||Connect|");
    /* Looks like a placeholder, but nothing binary was announced. */
    assert_string_equal(read_packet(&out, "2[\"a\",{\"_placeholder\":true,\"num\":7}]"),
                        "2|0|/||a|{\"_placeholder\":true,\"num\":7}");
    buf_free(&out);
}

static void equal_spellings(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"2/,[\"a\"]", "2[\"a\"]"},
        {"0/", "0"},
        {"0/custom", "0/custom,"},
        {"2007[\"a\"]", "27[\"a\"]"},
        {"601-1[{\"_placeholder\":true,\"num\":0}]", "61-1[{\"_placeholder\":true,\"num\":0}]"},
        {"2[\"a\"] \n", "2[\"a\"]"},
    };
    struct buf out = BUF_INIT(100);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct decoded d = decode(str_c(rows[i][0]), SIO_ATTACHMENTS);
        assert_int_equal(d.got, 0);
        buf_clear(&out);
        assert_int_equal(sio_put(&out, &d.packet), 0);
        assert_string_equal(buf_cstr(&out), rows[i][1]);
        free(d.text);
    }
    buf_free(&out);
}

static void heads_refused(void **state)
{
    (void)state;
    REFUSED("", "Empty packet");
    REFUSED("abc", "Unknown packet type");
    REFUSED("7", "Unknown packet type");
    REFUSED("/", "Unknown packet type");
    REFUSED(" 2[\"a\"]", "Unknown packet type");
    REFUSED("2abc[\"message-with-ack\",1]", "Unexpected token in JSON at position 0");
    REFUSED("2/admin[\"x\"]", "Data of an event is an array");
    REFUSED("2admin,[\"x\"]", "Unexpected token in JSON at position 0");
    REFUSED("2 [\"x\"]", "Space before the data");
    REFUSED("2-1[\"x\"]", "Unexpected token in JSON at position 2");
    REFUSED("21.5[\"x\"]", "Unexpected token in JSON at position 0");
    REFUSED("218446744073709551616[\"x\"]", "Id is out of range");
    REFUSED("3[\"x\"]", "Acknowledgement without an id");
    REFUSED("01{}", "Packet of this type has no id");
    REFUSED("0/a,1", "Packet of this type has no id");
    REFUSED("11", "Packet of this type has no id");
    REFUSED("41\"x\"", "Packet of this type has no id");
    REFUSED("0/a\nb", "Namespace has control characters");
    REFUSED("0/a\x1e"
            "4",
            "Namespace has control characters");
    REFUSED("0/a\x7f,{}", "Namespace has control characters");
    REFUSED("0/a\0b", "Namespace has control characters");
    REFUSED("0/\xC3,{}", "Namespace is no UTF-8");
}

static void data_refused(void **state)
{
    (void)state;
    REFUSED("0[]", "Data of a connect packet is an object");
    REFUSED("0\"x\"", "Data of a connect packet is an object");
    REFUSED("0null", "Data of a connect packet is an object");
    REFUSED("0{", "Unexpected end of JSON input");
    REFUSED("1{}", "Disconnect packet has no data");
    REFUSED("1/a,[]", "Disconnect packet has no data");
    REFUSED("4", "Data of an error is a string or an object");
    REFUSED("4[]", "Data of an error is a string or an object");
    REFUSED("2", "Data of an event is an array");
    REFUSED("212", "Data of an event is an array");
    REFUSED("2{}", "Data of an event is an array");
    REFUSED("2\"x\"", "Data of an event is an array");
    REFUSED("2[]", "Event without a name");
    REFUSED("2[null]", "Event without a name");
    REFUSED("2[{}]", "Event without a name");
    REFUSED("2[[\"a\"]]", "Event without a name");
    REFUSED("2[\"a\"", "Unexpected end of JSON input");
    REFUSED("2[\"a\"]]", "Unexpected token in JSON at position 5");
    REFUSED("2[\"a\",]", "Unexpected token in JSON at position 5");
    REFUSED("2[\"\xFF\"]", "Unexpected token in JSON at position 2");
    REFUSED("2[\"connect\"]", "Name of the event is reserved");
    REFUSED("2[\"connect_error\"]", "Name of the event is reserved");
    REFUSED("2[\"disconnect\",1]", "Name of the event is reserved");
    REFUSED("2[\"disconnecting\"]", "Name of the event is reserved");
    REFUSED("2[\"newListener\"]", "Name of the event is reserved");
    REFUSED("2[\"removeListener\"]", "Name of the event is reserved");
    REFUSED("2[\"\\u0063onnect\"]", "Name of the event is reserved");
    REFUSED("31", "Data of an acknowledgement is an array");
    REFUSED("31{}", "Data of an acknowledgement is an array");
    REFUSED("51-2", "Data of an event is an array");
    REFUSED("61-2\"x\"", "Data of an acknowledgement is an array");
}

static void attachments_refused(void **state)
{
    (void)state;
    REFUSED("5[\"a\"]", "Binary packet without a number of attachments");
    REFUSED("51[\"a\"]", "Binary packet without a number of attachments");
    REFUSED("5", "Binary packet without a number of attachments");
    REFUSED("51", "Binary packet without a number of attachments");
    REFUSED("5-[\"a\"]", "Binary packet without a number of attachments");
    REFUSED("50-[\"a\"]", "Binary packet without a number of attachments");
    REFUSED("5-1-[\"a\"]", "Binary packet without a number of attachments");
    REFUSED("51.0-[\"a\"]", "Binary packet without a number of attachments");
    REFUSED("5 1-[\"a\"]", "Binary packet without a number of attachments");
    REFUSED("599999999999999999999-[\"a\"]", "Binary packet without a number of attachments");
    REFUSED("511-[\"a\"]", "Too many attachments");
    REFUSED("54294967297-[\"a\"]", "Too many attachments");
    REFUSED("21-[\"a\"]", "Unexpected token in JSON at position 1");
    REFUSED("31-1[]", "Unexpected token in JSON at position 2");
    REFUSED("51-[\"a\"]", "Attachment without a placeholder");
    REFUSED("61-1[]", "Attachment without a placeholder");
    REFUSED("52-[\"a\",{\"_placeholder\":true,\"num\":0}]", "Attachment without a placeholder");
    REFUSED("52-[\"a\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":0}]",
            "Attachment with two placeholders");
}

static void placeholders_refused(void **state)
{
    (void)state;
    static const char *const objects[] = {
        "{\"_placeholder\":true,\"num\":1}",
        "{\"_placeholder\":true,\"num\":-1}",
        "{\"_placeholder\":true,\"num\":0.0}",
        "{\"_placeholder\":true,\"num\":\"0\"}",
        "{\"_placeholder\":true,\"num\":null}",
        "{\"_placeholder\":true,\"num\":[0]}",
        "{\"_placeholder\":true,\"num\":{\"num\":0}}",
        "{\"_placeholder\":true}",
        "{\"_placeholder\":true,\"num\":0,\"a\":1}",
        "{\"_placeholder\":true,\"num\":0,\"num\":0}",
        "{\"_placeholder\":true,\"_placeholder\":true}",
        "{\"_placeholder\":true,\"_placeholder\":true,\"num\":0}",
        "{\"_placeholder\":true,\"num\":18446744073709551616}",
        "{\"_placeholder\":true,\"numb\":0}",
    };
    struct buf text = BUF_INIT(200);
    for (size_t i = 0; i < COUNT(objects); i++) {
        buf_clear(&text);
        buf_addf(&text, "51-[\"a\",{\"_placeholder\":true,\"num\":0},%s]", objects[i]);
        refused(buf_str(&text), "Placeholder of no attachment");
        buf_clear(&text);
        buf_addf(&text, "51-[\"a\",[[{\"b\":%s}]]]", objects[i]);
        refused(buf_str(&text), "Placeholder of no attachment");
    }
    static const char *const data[] = {
        "{\"_placeholder\":false,\"num\":0}",
        "{\"_placeholder\":1,\"num\":0}",
        "{\"_placeholder\":\"true\",\"num\":0}",
        "{\"_placeholder\":[true],\"num\":0}",
        "{\"_placeholders\":true,\"num\":0}",
        "\"{\\\"_placeholder\\\":true,\\\"num\\\":0}\"",
        "{\"a\":\"_placeholder\",\"b\":true,\"num\":0}",
    };
    for (size_t i = 0; i < COUNT(data); i++) {
        buf_clear(&text);
        buf_addf(&text, "51-[\"a\",%s]", data[i]);
        refused(buf_str(&text), "Attachment without a placeholder");
    }
    buf_free(&text);
}

static void places(void **state)
{
    (void)state;
    static const char text[] = "53-[\"\\\"{\",{\"a\":[{\"num\" : 2 ,\n\"_placeholder\" :true}, 1]},\"x\\\\\","
                               "{\"_placeholder\":true,\"num\":0},{\"\\u005fplaceholder\":true,\"n\\u0075m\":1}]";
    struct sio_place places[SIO_ATTACHMENTS_MAX];
    struct decoded d = decode(str_c(text), 3);
    assert_int_equal(d.got, 0);
    assert_int_equal(sio_places(&d.packet, places), 3);
    assert_true(str_eqc(places[0].text, "{\"num\" : 2 ,\n\"_placeholder\" :true}"));
    assert_true(str_eqc(places[1].text, "{\"_placeholder\":true,\"num\":0}"));
    assert_true(str_eqc(places[2].text, "{\"\\u005fplaceholder\":true,\"n\\u0075m\":1}"));
    assert_int_equal(places[0].num, 2);
    assert_int_equal(places[1].num, 0);
    assert_int_equal(places[2].num, 1);
    free(d.text);
    d = decode(STR("2[\"a\",{\"_placeholder\":true,\"num\":0}]"), 3);
    assert_int_equal(d.got, 0);
    assert_int_equal(sio_places(&d.packet, places), 0);
    free(d.text);
}

static void put_binary(struct buf *text, unsigned count)
{
    buf_clear(text);
    buf_addf(text, "5%u-[\"up\"", count);
    for (unsigned num = count; num-- > 0;) {
        buf_byte(text, ',');
        sio_placeholder_put(text, num);
    }
    buf_byte(text, ']');
}

static void as_many_attachments_as_allowed(void **state)
{
    (void)state;
    static const unsigned limits[] = {0, 1, 9, SIO_ATTACHMENTS, 11, 63, SIO_ATTACHMENTS_MAX};
    struct sio_place places[SIO_ATTACHMENTS_MAX];
    struct buf text = BUF_INIT(KIB(8));
    for (size_t i = 0; i < COUNT(limits); i++) {
        struct decoded d;
        put_binary(&text, limits[i] + 1);
        d = decode(buf_str(&text), limits[i]);
        assert_int_equal(d.got, -1);
        assert_string_equal(d.e.text, "Too many attachments");
        free(d.text);
        if (limits[i] == 0)
            continue;
        put_binary(&text, limits[i]);
        d = decode(buf_str(&text), limits[i]);
        assert_int_equal(d.got, 0);
        assert_int_equal(sio_places(&d.packet, places), limits[i]);
        assert_int_equal(places[0].num, limits[i] - 1);
        free(d.text);
    }
    put_binary(&text, SIO_ATTACHMENTS_MAX + 1);
    struct decoded d = decode(buf_str(&text), UINT32_MAX);
    assert_int_equal(d.got, -1);
    free(d.text);
    buf_free(&text);
}

static void arguments(void **state)
{
    (void)state;
    static const enum json_type want[] = {JSON_NUMBER, JSON_STRING, JSON_OBJECT, JSON_NULL, JSON_ARRAY};
    static const char *const texts[] = {"2[\"n,[\", 1 ,\"a\\\"]\",{\"n\":[2]},null,[]]", "2[7, 1 ,\"a\",{},null,[]]",
                                        "37[1,\"a\",{\"b\":1},null,[[]]]"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct decoded d = decode(str_c(texts[i]), SIO_ATTACHMENTS);
        assert_int_equal(d.got, 0);
        struct json_iter it = sio_args(&d.packet);
        struct json_value key, value;
        for (size_t j = 0; j < COUNT(want); j++) {
            assert_true(json_each(&it, &key, &value));
            assert_int_equal(key.type, JSON_NONE);
            assert_int_equal(value.type, want[j]);
        }
        assert_false(json_each(&it, &key, &value));
        free(d.text);
    }
    static const char *const none[] = {"2[\"a\"]", "2[ \"a\" ]", "37[]", "37[ ]", "0{\"a\":1}", "1", "4{\"a\":1}"};
    for (size_t i = 0; i < COUNT(none); i++) {
        struct decoded d = decode(str_c(none[i]), SIO_ATTACHMENTS);
        assert_int_equal(d.got, 0);
        struct json_iter it = sio_args(&d.packet);
        struct json_value value;
        assert_false(json_each(&it, NULL, &value));
        assert_int_equal(sio_args_text(&d.packet).n, 0);
        free(d.text);
    }
}

static void assert_auth(struct str query, const char *expected)
{
    struct buf out = BUF_INIT(6 * query.n + 2);
    assert_int_equal(sio_query_auth(&out, query), 0);
    assert_true(str_eqc(buf_str(&out), expected));
    buf_free(&out);
}

static void queries_of_old_clients(void **state)
{
    (void)state;
    assert_auth(STR("token=a%20b+c&x=1"), "{\"token\":\"a b c\",\"x\":\"1\"}");
    assert_auth(STR_NONE, "{}");
    assert_auth(STR("&&"), "{}");
    assert_auth(STR("a"), "{\"a\":\"\"}");
    assert_auth(STR("="), "{\"\":\"\"}");
    assert_auth(STR("a=%01%22"), "{\"a\":\"\\u0001\\\"\"}");
    assert_auth(STR("bad=%zz&%=1&good=1&x=%ff"), "{\"good\":\"1\"}");
    struct buf small = BUF_INIT(8);
    assert_int_equal(sio_query_auth(&small, STR("token=1")), -1);
    buf_free(&small);
}

static void namespaces(void **state)
{
    (void)state;
    struct str query;
    assert_true(str_eqc(sio_nsp_path(STR("/admin?token=x?y"), &query), "/admin"));
    assert_true(str_eqc(query, "token=x?y"));
    assert_true(str_eqc(sio_nsp_path(STR("/admin?"), &query), "/admin"));
    assert_int_equal(query.n, 0);
    assert_true(str_eqc(sio_nsp_path(STR("/admin"), &query), "/admin"));
    assert_null(query.p);
    struct buf text = BUF_INIT(KIB(16));
    buf_lit(&text, "0/");
    while (text.len < SIO_NAMESPACE_MAX + 1)
        buf_byte(&text, 'a');
    struct decoded d = decode(buf_str(&text), 0);
    assert_int_equal(d.got, 0);
    assert_int_equal(d.packet.nsp.n, SIO_NAMESPACE_MAX);
    free(d.text);
    buf_byte(&text, 'a');
    refused(buf_str(&text), "Namespace is too long");
    buf_free(&text);
}

static void nesting(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(KIB(1));
    for (int deeper = 0; deeper < 2; deeper++) {
        buf_clear(&text);
        buf_lit(&text, "51-[1,");
        for (int i = 0; i < LIMIT_JSON_DEPTH - 2 + deeper; i++)
            buf_lit(&text, "[");
        sio_placeholder_put(&text, 0);
        for (int i = 0; i < LIMIT_JSON_DEPTH - 1 + deeper; i++)
            buf_lit(&text, "]");
        struct decoded d = decode(buf_str(&text), 1);
        assert_int_equal(d.got, deeper ? -1 : 0);
        free(d.text);
    }
    buf_free(&text);
}

static void cut_packets(void **state)
{
    (void)state;
    struct str text = STR("52-/admin,789[\"u\\u0070\",{\"a\":[{\"_placeholder\":true,\"num\":1}]},"
                          "{\"_placeholder\":true,\"num\":0},\"\xF0\x9F\x98\x80\",-1.5e3,null]");
    for (size_t n = 0; n <= text.n; n++) {
        struct decoded d = decode(str_n(text.p, n), SIO_ATTACHMENTS);
        assert_int_equal(d.got, n == text.n ? 0 : -1);
        free(d.text);
    }
}

static void one_megabyte(void **state)
{
    (void)state;
    struct buf args = BUF_INIT(MIB(1) + 100), out = BUF_INIT(MIB(2));
    buf_byte(&args, '"');
    for (size_t i = 0; i < MIB(1); i++)
        buf_byte(&args, (char)('a' + i % 23));
    buf_lit(&args, "\",");
    sio_placeholder_put(&args, 0);
    struct sio_event event = {.name = STR("big"), .args = buf_str(&args), .attachments = 1};
    assert_int_equal(sio_event_put(&out, &event), 0);
    struct sio_place places[SIO_ATTACHMENTS_MAX];
    struct decoded d = decode(buf_str(&out), SIO_ATTACHMENTS);
    assert_int_equal(d.got, 0);
    assert_true(str_eq(sio_args_text(&d.packet), buf_str(&args)));
    assert_int_equal(sio_places(&d.packet, places), 1);
    free(d.text);
    buf_free(&args);
    buf_free(&out);
}

#define WRITTEN(call, want)                                                                                            \
    do {                                                                                                               \
        struct buf out = BUF_INIT(sizeof(want) - 1);                                                                   \
        assert_int_equal(call, 0);                                                                                     \
        assert_string_equal(buf_cstr(&out), want);                                                                     \
        buf_free(&out);                                                                                                \
        for (size_t max = 0; max < sizeof(want) - 1; max++) {                                                          \
            buf_init(&out, max);                                                                                       \
            assert_int_equal(call, -1);                                                                                \
            assert_int_equal(out.len, 0);                                                                              \
            buf_free(&out);                                                                                            \
        }                                                                                                              \
    } while (0)

static void writing_handshakes(void **state)
{
    (void)state;
    struct str root = STR("/"), admin = STR("/admin"), none = STR("");
    WRITTEN(sio_connect_put(&out, root, STR("oSO0OpakMV_3jnilAAAA"), none), "0{\"sid\":\"oSO0OpakMV_3jnilAAAA\"}");
    WRITTEN(sio_connect_put(&out, admin, STR("s\""), STR("p")), "0/admin,{\"sid\":\"s\\\"\",\"pid\":\"p\"}");
    WRITTEN(sio_connect_put(&out, root, none, none), "0");
    WRITTEN(sio_connect_put(&out, admin, none, STR("p")), "0/admin,");
    WRITTEN(sio_connect_error_put(&out, STR("/random"), STR("Invalid namespace"), none),
            "4/random,{\"message\":\"Invalid namespace\"}");
    WRITTEN(sio_connect_error_put(&out, root, STR("not \"ok\"\n"), STR("{\"code\":1}")),
            "4{\"message\":\"not \\\"ok\\\"\\n\",\"data\":{\"code\":1}}");
    WRITTEN(sio_error_put(&out, root, STR("Authentication error"), none), "4\"Authentication error\"");
    WRITTEN(sio_error_put(&out, admin, STR("a"), STR("{\"b\":1}")), "4/admin,{\"b\":1}");
    WRITTEN(sio_disconnect_put(&out, root), "1");
    WRITTEN(sio_disconnect_put(&out, admin), "1/admin,");
}

static void writing_events(void **state)
{
    (void)state;
    struct sio_event event = {.nsp = STR("/"), .name = STR("chat"), .args = STR("{\"a\":1}")};
    WRITTEN(sio_event_put(&out, &event), "2[\"chat\",{\"a\":1}]");
    event = (struct sio_event){.nsp = STR("/admin"), .name = STR("x")};
    WRITTEN(sio_event_put(&out, &event), "2/admin,[\"x\"]");
    event = (struct sio_event){.name = STR("chat"), .args = STR("1"), .has_id = true, .id = 13};
    WRITTEN(sio_event_put(&out, &event), "213[\"chat\",1]");
    event = (struct sio_event){.name = STR("a\"\\\n\xE2\x82\xAC"), .args = STR("1,2"), .offset = STR("1:\"9")};
    WRITTEN(sio_event_put(&out, &event), "2[\"a\\\"\\\\\\n\xE2\x82\xAC\",1,2,\"1:\\\"9\"]");
    event = (struct sio_event){.name = STR("a"), .offset = STR("o")};
    WRITTEN(sio_event_put(&out, &event), "2[\"a\",\"o\"]");
    event = (struct sio_event){.nsp = STR("/n"),
                               .name = STR("up"),
                               .args = STR("{\"_placeholder\":true,\"num\":0}"),
                               .attachments = 1,
                               .has_id = true,
                               .id = UINT64_MAX};
    WRITTEN(sio_event_put(&out, &event), "51-/n,18446744073709551615[\"up\",{\"_placeholder\":true,\"num\":0}]");
    WRITTEN(sio_ack_put(&out, STR("/"), 13, STR("\"ok\""), 0), "313[\"ok\"]");
    WRITTEN(sio_ack_put(&out, STR("/admin"), 0, STR(""), 0), "3/admin,0[]");
    WRITTEN(sio_ack_put(&out, STR("/"), 789, STR("{\"_placeholder\":true,\"num\":0}"), 1),
            "61-789[{\"_placeholder\":true,\"num\":0}]");
    WRITTEN(sio_placeholder_put(&out, 10), "{\"_placeholder\":true,\"num\":10}");
}

static void an_echo_is_a_copy_of_the_arguments(void **state)
{
    (void)state;
    struct decoded d = decode(
        STR("52-[\"message\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]"), SIO_ATTACHMENTS);
    struct sio_event back = {.nsp = d.packet.nsp,
                             .name = STR("message-back"),
                             .args = sio_args_text(&d.packet),
                             .attachments = d.packet.attachments};
    assert_int_equal(d.got, 0);
    WRITTEN(sio_event_put(&out, &back),
            "52-[\"message-back\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
    free(d.text);
}

static void any_packet_past_the_ceiling_adds_nothing(void **state)
{
    (void)state;
    struct decoded d = decode(STR("51-/a,7[\"u\",{\"_placeholder\":true,\"num\":0}]"), 1);
    WRITTEN(sio_put(&out, &d.packet), "51-/a,7[\"u\",{\"_placeholder\":true,\"num\":0}]");
    free(d.text);
    d = decode(STR("4\"no\\n\""), 1);
    WRITTEN(sio_put(&out, &d.packet), "4\"no\\n\"");
    free(d.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captured_samples),
        cmocka_unit_test(more_packets),
        cmocka_unit_test(equal_spellings),
        cmocka_unit_test(heads_refused),
        cmocka_unit_test(data_refused),
        cmocka_unit_test(attachments_refused),
        cmocka_unit_test(placeholders_refused),
        cmocka_unit_test(places),
        cmocka_unit_test(as_many_attachments_as_allowed),
        cmocka_unit_test(arguments),
        cmocka_unit_test(queries_of_old_clients),
        cmocka_unit_test(namespaces),
        cmocka_unit_test(nesting),
        cmocka_unit_test(cut_packets),
        cmocka_unit_test(one_megabyte),
        cmocka_unit_test(writing_handshakes),
        cmocka_unit_test(writing_events),
        cmocka_unit_test(an_echo_is_a_copy_of_the_arguments),
        cmocka_unit_test(any_packet_past_the_ceiling_adds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
