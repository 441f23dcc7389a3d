/* The store's contract as tests that know no driver. Each test gets an empty store; it calls from its own thread
 * unless it is about tasks. A new driver adds one row to drivers[] in main.c. */
#ifndef TEST_CONTRACT_STORE_SUITE_H
#define TEST_CONTRACT_STORE_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/store_driver.h"

struct fixture {
    const struct store_ops *driver;
    struct store_config config;
    struct store *st;
    struct arena *a;
    struct err e;
};

struct suite_test {
    const char *name;
    void (*body)(struct fixture *f);
};

/* One array per file, ended by a row without a name. */
extern const struct suite_test people_tests[], conversation_tests[], message_tests[], other_tests[], task_tests[],
    session_tests[];

/* Closes and opens again. */
void reopen(struct fixture *f);

/* A fresh conversation in `space` with n complete messages "text 1", "text 2" …; its id is returned. */
struct str make_conversation(struct fixture *f, const char *space, const char *id, unsigned n);
struct message text_message(struct fixture *f, const char *conversation_id, const char *text);

#define assert_str(value, literal)                                                                                     \
    do {                                                                                                               \
        struct str value_ = (value);                                                                                   \
        assert_int_equal(value_.n, strlen(literal));                                                                   \
        assert_memory_equal(value_.p, literal, value_.n);                                                              \
    } while (0)
#define assert_ok(f, call)                                                                                             \
    do {                                                                                                               \
        (f)->e = (struct err){0};                                                                                      \
        if ((call) < 0)                                                                                                \
            fail_msg("%s: %s %s", #call, err_name((f)->e.code), (f)->e.text);                                          \
    } while (0)
#define assert_error(f, call, wanted)                                                                                  \
    do {                                                                                                               \
        (f)->e = (struct err){0};                                                                                      \
        assert_int_equal((call), -1);                                                                                  \
        assert_string_equal(err_name((f)->e.code), err_name(wanted));                                                  \
    } while (0)

#endif
