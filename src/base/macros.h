/* Small spellings used everywhere. */
#ifndef BASE_MACROS_H
#define BASE_MACROS_H

#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KIB(n)       ((size_t)(n) << 10)
#define MIB(n)       ((size_t)(n) << 20)
#define MIN(a, b)    ((a) < (b) ? (a) : (b))
#define MAX(a, b)    ((a) > (b) ? (a) : (b))

/* The object that holds `member` at `ptr`. */
/* clang-format off */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
/* clang-format on */

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_CHECK             __attribute__((warn_unused_result))
#define LIKELY(x)              __builtin_expect(!!(x), 1)
#define UNLIKELY(x)            __builtin_expect(!!(x), 0)

#endif
