/* Pictures: every kind, what of them is kept, and everything that is wrong with a picture that is none. */
#include "unit/support/unit.h"

#include "base/limits.h"
#include "wire/picture.h"

#include <zlib.h>

static struct buf made, kept;
static struct picture got;
static struct err e;

static int setup(void **state)
{
    (void)state;
    buf_init(&made, MIB(8));
    buf_init(&kept, MIB(8));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&made);
    buf_free(&kept);
    return 0;
}

static void add(const char *bytes, size_t n)
{
    assert_int_equal(buf_add(&made, bytes, n), 0);
}
#define ADD(literal) add((literal), sizeof(literal) - 1)

static void begin(void)
{
    buf_clear(&made);
    buf_clear(&kept);
}

static int read_made(void)
{
    /* Exactly as long as it is, for the sanitizer. */
    char *exact = malloc(made.len ? made.len : 1);
    memcpy(exact, buf_str(&made).p, made.len);
    buf_clear(&kept);
    int result = picture_read(str_n(exact, made.len), &got, &kept, &e);
    free(exact);
    return result;
}

static void is_refused(void)
{
    assert_int_equal(read_made(), -1);
    assert_int_equal(e.code, ERR_INVALID_REQUEST);
}

/* What is cut off anywhere is no picture. */
static void no_prefix_is_one(void)
{
    size_t whole = made.len;
    for (made.len = 0; made.len < whole; made.len++)
        is_refused();
    made.len = whole;
}

static void is_one(enum picture_type type, unsigned width, unsigned height)
{
    if (read_made() < 0)
        fail_msg("%s", e.text);
    assert_int_equal(got.type, type);
    assert_int_equal(got.width, width);
    assert_int_equal(got.height, height);
}

static bool kept_has(const char *text)
{
    return str_find(buf_str(&kept), str_c(text)) >= 0;
}

/* What was kept is a picture, and nothing more of it goes. */
static void kept_is_one(void)
{
    struct picture again;
    struct buf twice = BUF_INIT(MIB(8));
    assert_int_equal(picture_read(buf_str(&kept), &again, &twice, &e), 0);
    assert_true(str_eq(buf_str(&twice), buf_str(&kept)));
    assert_memory_equal(&again, &got, sizeof got);
    buf_free(&twice);
}

/* ---- PNG ---- */

static void u32(unsigned value)
{
    const char bytes[] = {(char)(value >> 24), (char)(value >> 16), (char)(value >> 8), (char)value};
    add(bytes, sizeof bytes);
}

static void chunk(const char *type, const char *data, size_t n)
{
    u32((unsigned)n);
    size_t from = made.len;
    add(type, 4);
    add(data, n);
    u32((unsigned)crc32_z(0, (const Bytef *)buf_str(&made).p + from, made.len - from));
}
#define CHUNK(type, literal) chunk((type), (literal), sizeof(literal) - 1)

static void png_begin(unsigned width, unsigned height, const char *kind)
{
    char header[13] = {(char)(width >> 24),  (char)(width >> 16),  (char)(width >> 8),  (char)width,
                       (char)(height >> 24), (char)(height >> 16), (char)(height >> 8), (char)height};
    memcpy(header + 8, kind, 5);
    begin();
    ADD("\x89PNG\r\n\x1a\n");
    chunk("IHDR", header, sizeof header);
}

#define GREY "\x08\0\0\0\0"
#define DATA "\x78\x9c\x63\0\0\0\x02\0\x01"

static void png_whole(unsigned width, unsigned height)
{
    png_begin(width, height, GREY);
    CHUNK("IDAT", DATA);
    CHUNK("IEND", "");
}

static void pngs(void **state)
{
    (void)state;
    png_whole(7, 300);
    no_prefix_is_one();
    is_one(PICTURE_PNG, 7, 300);
    assert_int_equal(got.frames, 1);
    assert_true(str_eq(buf_str(&kept), buf_str(&made)));
    png_whole(4096, 4096);
    is_one(PICTURE_PNG, 4096, 4096);
}

static void png_texts_go(void **state)
{
    (void)state;
    png_begin(1, 1, "\x08\x03\0\0\0");
    CHUNK("tEXt", "Comment\0<script>secret</script>");
    CHUNK("zTXt", "Comment\0\0secret");
    CHUNK("iTXt", "secret");
    CHUNK("iCCP", "secret");
    CHUNK("eXIf", "secret");
    CHUNK("gAMA", "\0\0\xb1\x8f");
    CHUNK("PLTE", "abc");
    CHUNK("tRNS", "t");
    CHUNK("acTL", "secret");
    CHUNK("IDAT", DATA);
    CHUNK("IDAT", "more");
    CHUNK("tIME", "secret");
    CHUNK("IEND", "");
    is_one(PICTURE_PNG, 1, 1);
    assert_false(kept_has("secret"));
    assert_true(kept_has("gAMA") && kept_has("PLTE") && kept_has("tRNS") && kept_has("more"));
    kept_is_one();
}

static void png_sizes(void **state)
{
    (void)state;
    static const unsigned sizes[][2] = {{0, 1},          {1, 0},        {4097, 1}, {1, 4097}, {0x7fffffff, 0x7fffffff},
                                        {0xffffffff, 1}, {65536, 65536}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        png_whole(sizes[i][0], sizes[i][1]);
        is_refused();
    }
}

static void png_kinds(void **state)
{
    (void)state;
    unsigned allowed = 0;
    for (unsigned depth = 0; depth < 256; depth++)
        for (unsigned colour = 0; colour < 8; colour++) {
            const char kind[] = {(char)depth, (char)colour, 0, 0, 0};
            png_begin(1, 1, kind);
            CHUNK("PLTE", "abc");
            CHUNK("IDAT", DATA);
            CHUNK("IEND", "");
            if (colour == 0 || colour == 4)
                is_refused();
            else
                allowed += read_made() == 0;
        }
    assert_int_equal(allowed, 2 + 4 + 2);
    static const char *const others[] = {"\x08\0\1\0\0", "\x08\0\0\1\0", "\x08\0\0\0\2"};
    for (size_t i = 0; i < COUNT(others); i++) {
        png_begin(1, 1, others[i]);
        CHUNK("IDAT", DATA);
        CHUNK("IEND", "");
        is_refused();
    }
}

static void png_order(void **state)
{
    (void)state;
    begin();
    ADD("\x89PNG\r\n\x1a\n");
    CHUNK("IDAT", DATA);
    CHUNK("IEND", "");
    is_refused(); /* no header */
    png_begin(1, 1, GREY);
    CHUNK("IEND", "");
    is_refused(); /* no data */
    png_begin(1, 1, "\x08\x03\0\0\0");
    CHUNK("IDAT", DATA);
    CHUNK("IEND", "");
    is_refused(); /* no palette */
    png_begin(1, 1, "\x08\x02\0\0\0");
    CHUNK("IDAT", DATA);
    CHUNK("PLTE", "abc");
    CHUNK("IEND", "");
    is_refused(); /* a palette behind the data */
    png_begin(1, 1, GREY);
    CHUNK("IDAT", DATA);
    CHUNK("tIME", "1234567");
    CHUNK("IDAT", DATA);
    CHUNK("IEND", "");
    is_refused(); /* data in two places */
    png_begin(1, 1, GREY);
    CHUNK("IDAT", DATA);
    CHUNK("IHDR", "1234567890123");
    CHUNK("IEND", "");
    is_refused(); /* two headers */
    png_begin(1, 1, GREY);
    CHUNK("IDAT", DATA);
    CHUNK("IEND", "x");
    is_refused();
}

static void png_oddities(void **state)
{
    (void)state;
    png_whole(1, 1);
    ADD("PK\x03\x04");
    is_refused(); /* something else behind it */
    png_begin(1, 1, GREY);
    CHUNK("JUNK", "");
    CHUNK("IDAT", DATA);
    CHUNK("IEND", "");
    is_refused(); /* critical, and unknown */
    png_begin(1, 1, GREY);
    CHUNK("a\r\n1", "");
    CHUNK("IDAT", DATA);
    CHUNK("IEND", "");
    is_refused();
    png_whole(1, 1);
    made.data[made.head + 45] ^= 1; /* in the data */
    is_refused();
    png_begin(1, 1, GREY);
    u32(0xffffffff);
    ADD("IDAT");
    is_refused();
    png_begin(1, 1, GREY);
    for (int i = 0; i <= LIMIT_PICTURE_PARTS; i++)
        CHUNK("IDAT", "");
    CHUNK("IEND", "");
    is_refused();
}

/* ---- JPEG ---- */

#define SOI  "\xff\xd8"
#define EOI  "\xff\xd9"
#define JFIF "\xff\xe0\0\x10JFIF\0\1\2\0\0\1\0\1\0\0"
#define DQT  "\xff\xdb\0\x03q"
#define DHT  "\xff\xc4\0\x03h"
#define SOF  "\xff\xc0\0\x0b\x08\x01\x02\0\x30\x01\x01\x11\0" /* 48 x 258 */
#define SCAN "\xff\xda\0\x08\x01\x01\0\0\x3f\0 data\xff\0data\xff\xd0 data"

static void jpegs(void **state)
{
    (void)state;
    begin();
    ADD(SOI JFIF DQT "\xff" SOF DHT SCAN EOI);
    no_prefix_is_one();
    is_one(PICTURE_JPEG, 48, 258);
    kept_is_one();
    assert_int_equal(kept.len, made.len - 1); /* without the fill byte */
}

static void jpeg_texts_go(void **state)
{
    (void)state;
    begin();
    ADD(SOI "\xff\xe0\0\x19JFIF\0\1\2\0\0\1\0\1\1\3secret123"
            "\xff\xe0\0\x0eJFXX\0secret1"
            "\xff\xe1\0\x0csecret\1\2\3\4"
            "\xff\xfe\0\x08secret"
            "\xff\xe2\0\x08secret"
            "\xff\xee\0\x0e"
            "Adobe\0\x64\0\0\0\0\1" DQT SOF SCAN "\xff\xfe\0\x08secret" SCAN EOI "secret");
    is_one(PICTURE_JPEG, 48, 258);
    assert_false(kept_has("secret"));
    assert_true(kept_has("JFIF") && kept_has("Adobe"));
    kept_is_one();
}

static void jpeg_orientation(void **state)
{
    (void)state;
    begin();
    ADD(SOI "\xff\xe1\0\x36"
            "Exif\0\0II*\0\x08\0\0\0\2\0"
            "\x0f\1\2\0\6\0\0\0secr"
            "\x12\1\3\0\1\0\0\0\6\0\0\0"
            "\0\0\0\0secret12" SOF SCAN EOI);
    is_one(PICTURE_JPEG, 48, 258);
    assert_false(kept_has("secr"));
    assert_true(str_find(buf_str(&kept), str_n("\x01\x12\0\x03\0\0\0\x01\0\x06\0\0", 12)) > 0);
    kept_is_one();
    begin();
    ADD(SOI "\xff\xe1\0\x12"
            "Exif\0\0MM\0*\xff\xff\xff\xff..\xff\xe1\0\x12"
            "Exif\0\0MM\0*\0\0\0\x08\0\xff" SOF SCAN EOI);
    is_one(PICTURE_JPEG, 48, 258);
    assert_false(kept_has("Exif"));
}

static void jpeg_oddities(void **state)
{
    (void)state;
    begin();
    ADD(SOI EOI);
    is_refused();
    begin();
    ADD(SOI SOF EOI);
    is_refused(); /* no data */
    begin();
    ADD(SOI SCAN EOI);
    is_refused(); /* no frame */
    begin();
    ADD(SOI SOF SOF SCAN EOI);
    is_refused(); /* two */
    begin();
    ADD(SOI "\xff\xc3\0\x0b\x08\0\1\0\1\1\1\x11\0" SCAN EOI);
    is_refused(); /* no browser shows it */
    begin();
    ADD(SOI "\xff\xc0\0\x0b\x08\0\0\0\1\1\1\x11\0" SCAN EOI);
    is_refused(); /* its height comes later */
    begin();
    ADD(SOI "\xff\xc0\0\x0b\x08\xff\xff\xff\xff\1\1\x11\0" SCAN EOI);
    is_refused();
    begin();
    ADD(SOI "\xff\xc0\0\x0b\x0c\0\1\0\1\1\1\x11\0" SCAN EOI);
    is_refused();
    begin();
    ADD(SOI "\xff\xc0\0\x0b\x08\0\1\0\1\3\1\x11\0" SCAN EOI);
    is_refused();
    begin();
    ADD(SOI "<html>" SOF SCAN EOI);
    is_refused();
    begin();
    ADD(SOI "\xff\xe1\0\1" SOF SCAN EOI);
    is_refused();
    begin();
    ADD(SOI SOF);
    for (int i = 0; i < 129; i++)
        ADD(SCAN);
    ADD(EOI);
    is_refused(); /* a hundred passes over nothing */
}

/* ---- GIF ---- */

#define SCREEN  "GIF89a\x20\0\x10\0\x80\0\0abcdef" /* 32 x 16, two colours */
#define IMAGE   "\x2c\0\0\0\0\x20\0\x10\0\0\2\3abc\0"
#define CONTROL "\x21\xf9\4\0\0\0\0\0"
#define LOOP    "\x21\xff\x0bNETSCAPE2.0\3\1\0\0\0"

static void gifs(void **state)
{
    (void)state;
    begin();
    ADD(SCREEN LOOP CONTROL IMAGE CONTROL "\x2c\1\0\1\0\2\0\2\0\x81"
                                          "abcdefghijkl\x02\1a\0"
                                          "\x3b");
    no_prefix_is_one();
    is_one(PICTURE_GIF, 32, 16);
    assert_int_equal(got.frames, 2);
    assert_true(str_eq(buf_str(&kept), buf_str(&made)));
    begin();
    ADD("GIF87a\1\0\1\0\0\0\0"
        "\x2c\0\0\0\0\1\0\1\0\0\2\0"
        "\x3b");
    is_one(PICTURE_GIF, 1, 1);
}

static void gif_texts_go(void **state)
{
    (void)state;
    begin();
    ADD(SCREEN "\x21\xfe\6secret\0"
               "\x21\xff\x0bXMP DataXMP\6secret\0" LOOP IMAGE "\x21\1\6secret\0"
               "\x3b");
    is_one(PICTURE_GIF, 32, 16);
    assert_false(kept_has("secret"));
    assert_true(kept_has("NETSCAPE2.0"));
    kept_is_one();
}

static void gif_oddities(void **state)
{
    (void)state;
    begin();
    ADD(SCREEN "\x3b");
    is_refused(); /* shows nothing */
    begin();
    ADD(SCREEN IMAGE "\x3b/*");
    is_refused(); /* something else behind it */
    begin();
    ADD("GIF88a\1\0\1\0\0\0\0" IMAGE "\x3b");
    is_refused();
    begin();
    ADD("GIF89a\xff\xff\xff\xff\0\0\0" IMAGE "\x3b");
    is_refused();
    begin();
    ADD("GIF89a=1\0\0\0\0\0" IMAGE "\x3b");
    is_refused(); /* the beginning of a script */
    begin();
    ADD(SCREEN "\x2c\0\0\0\0\0\0\1\0\0\2\0"
               "\x3b");
    is_refused();
    begin();
    ADD(SCREEN "\x2c\xff\xff\xff\xff\1\0\1\0\0\2\0"
               "\x3b");
    is_refused();
    begin();
    ADD(SCREEN "\x2c\0\0\0\0\1\0\1\0\0\x0c\0"
               "\x3b");
    is_refused();
    begin();
    ADD(SCREEN "<" IMAGE "\x3b");
    is_refused();
}

static void gif_lengths(void **state)
{
    (void)state;
    begin();
    ADD(SCREEN);
    for (int i = 0; i < LIMIT_PICTURE_FRAMES; i++)
        ADD(IMAGE);
    ADD("\x3b");
    is_one(PICTURE_GIF, 32, 16);
    assert_int_equal(got.frames, LIMIT_PICTURE_FRAMES);
    begin();
    ADD(SCREEN);
    for (int i = 0; i <= LIMIT_PICTURE_FRAMES; i++)
        ADD(IMAGE);
    ADD("\x3b");
    is_refused();
    begin();
    ADD(SCREEN);
    for (int i = 0; i < 9; i++)
        ADD("\x2c\0\0\0\0\0\x10\0\x10\0\2\0"); /* 4096 x 4096 each */
    ADD("\x3b");
    is_refused();
}

/* ---- others ---- */

static void others(void **state)
{
    (void)state;
    static const char *const texts[] = {"",        "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
                                        "<html>",  "RIFF1234WEBPVP8 ",
                                        "BM",      "%PDF-1.7",
                                        "\x89PNG", "GIF",
                                        "\xff"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        begin();
        add(texts[i], strlen(texts[i]));
        is_refused();
        assert_int_equal(picture_type_of(str_c(texts[i])), PICTURE_TYPES);
    }
    assert_string_equal(picture_ending(PICTURE_JPEG), "jpg");
    assert_string_equal(picture_media_type(PICTURE_GIF), "image/gif");
}

static void ceiling(void **state)
{
    (void)state;
    png_whole(1, 1);
    for (size_t max = 0; max < made.len; max++) {
        struct buf small = BUF_INIT(max);
        assert_int_equal(picture_read(buf_str(&made), &got, &small, &e), -1);
        buf_free(&small);
    }
    assert_int_equal(picture_read(buf_str(&made), &got, NULL, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pngs),          cmocka_unit_test(png_texts_go),  cmocka_unit_test(png_sizes),
        cmocka_unit_test(png_kinds),     cmocka_unit_test(png_order),     cmocka_unit_test(png_oddities),
        cmocka_unit_test(jpegs),         cmocka_unit_test(jpeg_texts_go), cmocka_unit_test(jpeg_orientation),
        cmocka_unit_test(jpeg_oddities), cmocka_unit_test(gifs),          cmocka_unit_test(gif_texts_go),
        cmocka_unit_test(gif_oddities),  cmocka_unit_test(gif_lengths),   cmocka_unit_test(others),
        cmocka_unit_test(ceiling),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
