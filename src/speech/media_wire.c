#include "speech/media_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

int media_packet_send(int fd, enum media_packet type, const void *bytes, size_t n, int flags)
{
    unsigned char kind = (unsigned char)type;
    struct iovec parts[] = {{&kind, 1}, {(void *)(uintptr_t)bytes, n}};
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = n ? 2 : 1};
    ssize_t sent;
    do {
        sent = sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

int media_packet_receive(int fd, enum media_packet *type, void *bytes, size_t *n, int flags)
{
    unsigned char kind = 0;
    struct iovec parts[] = {{&kind, 1}, {bytes, MEDIA_PACKET_MAX}};
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t got;
    do {
        got = recvmsg(fd, &msg, flags);
    } while (got < 0 && errno == EINTR);
    if (got <= 0)
        return (int)got;
    if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        errno = EPROTO;
        return -1;
    }
    *type = (enum media_packet)kind;
    *n = (size_t)got - 1;
    return 1;
}

union carrier {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
};

int media_order_send(int fd, const struct media_order *order, int carry)
{
    struct iovec part = {(void *)(uintptr_t)order, sizeof *order};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    union carrier carrier = {.room = {0}};
    ssize_t sent;
    if (carry >= 0) {
        msg.msg_control = &carrier;
        msg.msg_controllen = sizeof carrier.room;
        carrier.head = (struct cmsghdr){CMSG_LEN(sizeof carry), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&carrier.head), &carry, sizeof carry);
    }
    do {
        sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

int media_order_receive(int fd, struct media_order *order, int *carried)
{
    struct iovec part = {order, sizeof *order};
    union carrier carrier = {.room = {0}};
    struct msghdr msg = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &carrier, .msg_controllen = sizeof carrier.room};
    *carried = -1;
    ssize_t got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
    if (got <= 0)
        return (int)got;
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
        memcpy(carried, CMSG_DATA(head), sizeof *carried);
    return got == sizeof *order ? 1 : 0;
}
