#include "base/rand.h"

#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <pthread.h>
#include <sys/random.h>

static _Thread_local struct {
    unsigned char bytes[512];
    size_t left;
} pool;

/* A forked child must not hand out the bytes its parent goes on to hand out. */
static void forget(void)
{
    pool.left = 0;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forget);
}

static void fill(unsigned char *out, size_t n)
{
    while (n) {
        ssize_t got = getrandom(out, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            die("getrandom: %s", strerror(errno));
        out += got;
        n -= (size_t)got;
    }
}

void rand_bytes(void *out, size_t n)
{
    if (n > sizeof pool.bytes / 2) {
        fill(out, n);
        return;
    }
    if (pool.left < n) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, watch_forks);
        fill(pool.bytes, sizeof pool.bytes);
        pool.left = sizeof pool.bytes;
    }
    unsigned char *from = pool.bytes + sizeof pool.bytes - pool.left;
    memcpy(out, from, n);
    explicit_bzero(from, n); /* a byte handed out is not kept: it may be part of a secret */
    pool.left -= n;
}

void rand_object_id(char out[OBJECT_ID_LEN + 1])
{
    unsigned char bytes[OBJECT_ID_LEN / 2];
    uint32_t now = (uint32_t)(clock_wall_ms() / 1000);
    for (size_t i = 0; i < sizeof now; i++)
        bytes[i] = (unsigned char)(now >> (24 - 8 * i));
    rand_bytes(bytes + sizeof now, sizeof bytes - sizeof now);
    hex_encode(out, bytes, sizeof bytes);
}

bool is_object_id(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!((text.p[i] >= '0' && text.p[i] <= '9') || (text.p[i] >= 'a' && text.p[i] <= 'f')))
            return false;
    return text.n == OBJECT_ID_LEN;
}

uint64_t rand_u64(void)
{
    uint64_t value;
    rand_bytes(&value, sizeof value);
    return value;
}

uint64_t rand_below(uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    uint64_t value;
    do
        value = rand_u64();
    while (value >= limit);
    return value % n;
}

void rand_uuid(char out[UUID_LEN + 1])
{
    unsigned char b[16];
    char hex[33];
    rand_bytes(b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0F) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
    hex_encode(hex, b, sizeof b);
    static const unsigned char groups[] = {8, 4, 4, 4, 12};
    const char *from = hex;
    for (size_t g = 0; g < sizeof groups; g++) {
        memcpy(out, from, groups[g]);
        out += groups[g];
        from += groups[g];
        *out++ = '-';
    }
    out[-1] = 0;
}
