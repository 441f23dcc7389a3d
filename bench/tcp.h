/* The client's end of a connection, and the answers that come on it. Shared by the load generators. */
#ifndef BENCH_TCP_H
#define BENCH_TCP_H

#include "base/err.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* As many open files as the machine allows. */
static inline void files_max(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static inline int connect_to(uint64_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("connect to port %u: %s", (unsigned)port, strerror(errno));
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static inline void watch(int epoll, int fd, void *data)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = data};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

static inline void send_all(int fd, struct str bytes)
{
    if (send(fd, bytes.p, bytes.n, MSG_NOSIGNAL) != (ssize_t)bytes.n)
        die("send: %s", strerror(errno));
}

/* Bytes of the HTTP answer at the front, 0 when it is not complete. */
static inline size_t http_answer(struct str in, bool *ok, struct str *body)
{
    ptrdiff_t end = str_find(in, STR("\r\n\r\n"));
    if (end < 0)
        return 0;
    struct str head = str_n(in.p, (size_t)end + 2);
    ptrdiff_t at = str_find(head, STR("ontent-Length: "));
    if (at < 0)
        at = str_find(head, STR("ontent-length: "));
    struct str digits = at < 0 ? STR_NONE : str_from(head, (size_t)at + sizeof("ontent-length: ") - 1);
    ptrdiff_t stop = str_find_char(digits, '\r');
    uint64_t length;
    if (stop < 0 || str_u64(str_n(digits.p, (size_t)stop), &length) < 0)
        die("an answer without Content-Length: %.*s", STR_ARG(head));
    size_t whole = (size_t)end + 4 + (size_t)length;
    if (in.n < whole)
        return 0;
    *ok = str_starts(in, STR("HTTP/1.1 200 "));
    *body = str_n(in.p + end + 4, (size_t)length);
    return whole;
}

/* Bytes of the answer to an upgrade, 0 when it is not complete. */
static inline size_t upgrade_answer(struct str in)
{
    ptrdiff_t end = str_find(in, STR("\r\n\r\n"));
    if (end < 0)
        return 0;
    if (!str_starts(in, STR("HTTP/1.1 101 ")))
        die("no upgrade: %.*s", STR_ARG(in));
    return (size_t)end + 4;
}

/* Bytes of the server's frame at the front, 0 when it is not complete. Servers do not mask. *first: FIN and opcode. */
static inline size_t frame_answer(struct str in, uint8_t *first, struct str *payload)
{
    const uint8_t *p = (const uint8_t *)in.p;
    if (in.n < 2)
        return 0;
    size_t head = p[1] < 126 ? 2 : p[1] == 126 ? 4 : 10;
    if (in.n < head)
        return 0;
    uint64_t length = p[1] < 126 ? p[1] : 0;
    for (size_t i = 2; i < head; i++)
        length = length << 8 | p[i];
    if (in.n - head < length)
        return 0;
    *first = p[0];
    *payload = str_n(in.p + head, (size_t)length);
    return head + (size_t)length;
}

#endif
