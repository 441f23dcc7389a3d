/* Names of kept audio, and what a recording is by its first bytes. */
#include "unit/support/unit.h"

#include "api/audio_names.h"

#define RANDOM_HEX "0123456789abcdef0123456789abcdef"

static void reads(const char *name, enum audio_kind kind)
{
    enum audio_kind got = audio_name_read(str_c(name)).kind;
    if (got != kind)
        fail_msg("%s: %d in place of %d", name, (int)got, (int)kind);
}

static void names_are_read(void **state)
{
    (void)state;
    reads(RANDOM_HEX ".mp3", AUDIO_BRIEF);
    reads(RANDOM_HEX ".wav", AUDIO_BRIEF);
    reads("response-1700000000000-" RANDOM_HEX ".mp3", AUDIO_LASTING);
    reads("1700000000000-" RANDOM_HEX "-blob", AUDIO_UPLOAD);
    reads("1-" RANDOM_HEX "-a-b_c.1.webm", AUDIO_UPLOAD);
    assert_int_equal(audio_name_read(STR("response-1-" RANDOM_HEX ".opus")).format, SPEECH_OPUS);
}

static void other_names_are_foreign(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        ".",
                                        "..",
                                        "notes.mp3",
                                        RANDOM_HEX,
                                        RANDOM_HEX ".",
                                        RANDOM_HEX ".txt",
                                        RANDOM_HEX ".mp3.part",
                                        "0123456789ABCDEF0123456789abcdef.mp3",
                                        "response-" RANDOM_HEX ".mp3",
                                        "response-1-" RANDOM_HEX ".txt",
                                        "response-1-" RANDOM_HEX ".mp3.part",
                                        "Response-1-" RANDOM_HEX ".mp3",
                                        "response-x-" RANDOM_HEX ".mp3",
                                        "response-12345678901234567890-" RANDOM_HEX ".mp3",
                                        "1-" RANDOM_HEX "-",
                                        "1-" RANDOM_HEX "-.hidden",
                                        "1-" RANDOM_HEX "-a..b",
                                        "1-" RANDOM_HEX "-a/b",
                                        "1-" RANDOM_HEX "-a b",
                                        "1-" RANDOM_HEX "-a.part",
                                        "1-" RANDOM_HEX "-01234567890123456789012345678901234567890",
                                        "-" RANDOM_HEX "-blob",
                                        "1" RANDOM_HEX "-blob"};
    for (size_t i = 0; i < COUNT(names); i++)
        reads(names[i], AUDIO_FOREIGN);
    assert_int_equal(audio_name_read(str_n("1-" RANDOM_HEX "-a\0b", 38)).kind, AUDIO_FOREIGN);
}

/* What a client's file name becomes, behind the random part. */
static void check_given(const char *given, const char *safe)
{
    char name[AUDIO_NAME];
    audio_name_upload(name, str_c(given), 1700000000000);
    reads(name, AUDIO_UPLOAD);
    assert_true(str_starts(str_c(name), STR("1700000000000-")));
    if (strcmp(name + 14 + 33, safe) != 0)
        fail_msg("%s: %s in place of %s", given, name + 14 + 33, safe);
}

static void given_names_are_made_harmless(void **state)
{
    (void)state;
    check_given("blob", "blob");
    check_given("Call 1.webm", "Call_1.webm");
    check_given("../../etc/passwd", "passwd");
    check_given("..\\..\\boot.ini", "boot.ini");
    check_given("..", "audio");
    check_given("", "audio");
    check_given("...", "audio");
    check_given("a/", "audio");
    check_given(".htaccess", "htaccess");
    check_given("a....b", "a.b");
    check_given("x<script>.wav", "x_script_.wav");
    check_given("запись.webm", "_.webm");
    check_given("tail.", "tail");
    check_given("sly.part", "sly_part");
    check_given("line\r\nbreak", "line_break");
    check_given("0123456789012345678901234567890123456789012345.webm", "12345678901234567890123456789012345.webm");
}

/* Any bytes at all give a name of ours, of bounded length. */
static void any_given_name_will_do(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        char given[80], name[AUDIO_NAME];
        size_t n = (seed = seed * 1103515245 + 12345) >> 16 & 63;
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1103515245 + 12345;
            given[i] = seed & 0x10000 ? "..//part_-"[(seed >> 20) % 10] : (char)(seed >> 18);
        }
        audio_name_upload(name, str_n(given, n), INT64_MAX);
        if (audio_name_read(str_c(name)).kind != AUDIO_UPLOAD)
            fail_msg("%s", name);
    }
}

static void made_names_differ(void **state)
{
    (void)state;
    char one[AUDIO_NAME], two[AUDIO_NAME];
    audio_name_lasting(one, "response", SPEECH_MP3, 5);
    audio_name_lasting(two, "response", SPEECH_MP3, 5);
    reads(one, AUDIO_LASTING);
    assert_string_not_equal(one, two);
    audio_name_brief(one, SPEECH_WAV);
    reads(one, AUDIO_BRIEF);
}

static void check_type(struct str head, const char *type)
{
    const char *got = audio_type_of(head);
    if (strcmp(got ? got : "none", type) != 0)
        fail_msg("%.*s: %s in place of %s", STR_ARG(head), got ? got : "none", type);
}

static void content_is_told_by_its_first_bytes(void **state)
{
    (void)state;
    check_type(STR("\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm\x42\x87"), "audio/webm");
    check_type(STR("\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska"), "audio/x-matroska");
    check_type(STR("\x1a\x45\xdf\xa3\x9f"), "none");
    check_type(STR("RIFF\x24\x00\x00\x00WAVEfmt "), "audio/wav");
    check_type(STR("RIFF\x24\x00\x00\x00WEBPVP8 "), "none");
    check_type(STR("OggS\x00\x02"), "audio/ogg");
    check_type(STR("fLaC\x00"), "audio/flac");
    check_type(STR("ID3\x04"), "audio/mpeg");
    check_type(STR("\xff\xfb\x90\x00"), "audio/mpeg");
    check_type(STR("\xff\xf3\x40\xc4"), "audio/mpeg");
    check_type(STR("\xff\xf1\x50\x80"), "audio/aac");
    check_type(STR("\xff\xff\xff\xff"), "none");
    check_type(STR("\xff\xfe<\x00h\x00t\x00"), "none");
    check_type(STR("\x00\x00\x00\x20"
                   "ftypM4A "),
               "audio/mp4");
    check_type(STR("<html><script>"), "none");
    check_type(STR("\x89PNG\r\n\x1a\n"), "none");
    check_type(STR("%PDF-1.7"), "none");
    check_type(STR("MZ"), "none");
    check_type(STR(""), "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read),
        cmocka_unit_test(other_names_are_foreign),
        cmocka_unit_test(given_names_are_made_harmless),
        cmocka_unit_test(any_given_name_will_do),
        cmocka_unit_test(made_names_differ),
        cmocka_unit_test(content_is_told_by_its_first_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
