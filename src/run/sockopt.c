/*
 * Socket options. They are weir's, by Linux's numbers; but what decides how long a read of the mirror blocks is the
 * mirror's, and SO_ERROR is what the mirror has shown.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/time.h>

#include "run/dgram.h"

#define VALUE_CAP 1024

#ifndef IPV6_RECVHOPLIMIT
#define IPV6_RECVHOPLIMIT 51
#endif

/* Options that work on the mirror itself. */
static bool is_mirrors(int level, int name)
{
    return level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO || name == SO_RCVLOWAT ||
                                   name == SO_PEEK_OFF || name == SO_OOBINLINE);
}

/* Options that are not for programs: weir's own, and pretending to other addresses. */
static bool is_reserved(int level, int name)
{
    return level == WEIR_SOL_WEIR || (level == IPPROTO_IP && name == IP_TRANSPARENT);
}

/* Options whose effect is in control messages and the error queue of the program's own descriptor, the mirror, which
 * has none of weir's: refused, so that no program waits for what can't come. */
static bool is_beyond_mirrors(int level, int name)
{
    return (level == SOL_SOCKET && (name == WEIR_SO_ZEROCOPY || name == WEIR_SO_TIMESTAMPING)) ||
           (level == IPPROTO_TCP && name == WEIR_TCP_INQ);
}

/* ---- get ---- */

static int get_error(struct wir_run *r, struct wir_sock *s)
{
    int err = s->so_error;
    uint32_t len = sizeof err;
    s->so_error = 0;
    if (err)
        s->is_connect_unreported = false;
    else if (s->phase == WIR_SOCK_DGRAM)
        err = wir_dgram_take_error(s);
    else if (s->phase == WIR_SOCK_LISTENING)
        weir_getsockopt(r->prog.stack, s->pump.net, WEIR_SOL_SOCKET, WEIR_SO_ERROR, &err, &len);
    return err;
}

static int get_value(struct wir_run *r, struct wir_sock *s, int level, int name, void *value, uint32_t *len)
{
    if (is_reserved(level, name) || is_beyond_mirrors(level, name))
        return -ENOPROTOOPT;
    if (level == SOL_SOCKET && name == SO_ERROR) {
        int err = get_error(r, s);
        if (*len > sizeof err)
            *len = sizeof err;
        memcpy(value, &err, *len);
        return 0;
    }
    if (level == IPPROTO_TCP && name == TCP_INFO && *len > WEIR_TCP_INFO_LINUX_LEN)
        *len = WEIR_TCP_INFO_LINUX_LEN; /* a program that knows a longer one knows Linux's, not ours */
    return weir_getsockopt(r->prog.stack, s->pump.net, level, name, value, len);
}

void wir_on_getsockopt(struct wir_run *r, struct wir_call *call)
{
    int level = (int)WIR_ARG(call, 1), name = (int)WIR_ARG(call, 2);
    _Alignas(8) char value[VALUE_CAP];
    pid_t pid = (pid_t)call->req.pid;
    int room;

    if (is_mirrors(level, name)) {
        wir_call_continue(r, call);
        return;
    }
    int err = wir_mem_read(pid, WIR_ARG(call, 4), &room, sizeof room);
    if (err == 0 && room < 0)
        err = -EINVAL;
    if (err == 0) {
        uint32_t len = room < VALUE_CAP ? (uint32_t)room : VALUE_CAP;
        err = get_value(r, call->sock, level, name, value, &len);
        if (err == 0)
            err = wir_mem_write(pid, WIR_ARG(call, 3), value, len);
        if (err == 0)
            err = wir_mem_write(pid, WIR_ARG(call, 4), &len, sizeof len);
    }
    wir_call_finish(r, call, err);
}

/* ---- set ---- */

static uint32_t want_of(int level, int name)
{
    if (level == IPPROTO_IP) {
        switch (name) {
        case IP_PKTINFO: return WIR_WANT_PKTINFO4;
        case IP_RECVTTL: return WIR_WANT_TTL;
        case IP_RECVTOS: return WIR_WANT_TOS;
        default: return 0;
        }
    }
    if (level == IPPROTO_IPV6) {
        switch (name) {
        case IPV6_RECVPKTINFO: return WIR_WANT_PKTINFO6;
        case IPV6_RECVHOPLIMIT: return WIR_WANT_HOPLIMIT;
        case IPV6_RECVTCLASS: return WIR_WANT_TCLASS;
        default: return 0;
        }
    }
    return 0;
}

static void note_want(struct wir_sock *s, uint32_t want, const void *value, uint32_t len)
{
    bool is_on = len >= sizeof(int) ? *(const int *)value != 0 : len > 0 && *(const char *)value != 0;
    s->wants = is_on ? s->wants | want : s->wants & ~want;
}

/* The mirror's read and write time out by themselves; accept, connect and addressed calls wait here. */
static void note_timeout(struct wir_sock *s, int name, const void *value, uint32_t len)
{
    const struct timeval *tv = value;
    if (len < sizeof *tv || tv->tv_sec < 0 || tv->tv_usec < 0)
        return;
    weir_ns ns = WEIR_SEC((uint64_t)tv->tv_sec) + WEIR_US((uint64_t)tv->tv_usec);
    if (name == SO_RCVTIMEO)
        s->rcv_timeout = ns;
    else if (name == SO_SNDTIMEO)
        s->snd_timeout = ns;
}

void wir_on_setsockopt(struct wir_run *r, struct wir_call *call)
{
    int level = (int)WIR_ARG(call, 1), name = (int)WIR_ARG(call, 2);
    uint64_t len = WIR_ARG(call, 4) & 0xffffffffu;
    struct wir_sock *s = call->sock;
    _Alignas(8) char value[VALUE_CAP] = {0};

    int err = len > VALUE_CAP ? -EINVAL : wir_mem_read((pid_t)call->req.pid, WIR_ARG(call, 3), value, len);
    if (err == 0 && is_mirrors(level, name)) {
        note_timeout(s, name, value, (uint32_t)len);
        wir_call_continue(r, call);
        return;
    }
    if (err == 0 && is_beyond_mirrors(level, name))
        err = -ENOPROTOOPT;
    if (err == 0)
        err = is_reserved(level, name) ? -EPERM
                                       : weir_setsockopt(r->prog.stack, s->pump.net, level, name, value, (uint32_t)len);
    if (err == 0 && want_of(level, name))
        note_want(s, want_of(level, name), value, (uint32_t)len);
    wir_call_finish(r, call, err);
}
