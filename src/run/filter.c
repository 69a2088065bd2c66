/*
 * The seccomp filter: which system calls of the program are handed to us. It sees numbers and register arguments only:
 * whether a descriptor is one of ours is decided later, by its inode.
 *
 * The rule for cheapness: what a byte stream does all day (read, write, send and recv without an address, poll, epoll)
 * never matches. The kernel remembers calls that always pass and doesn't even run the filter for them.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "run/run.h"

#if defined(__x86_64__)
#define FILTER_ARCH        AUDIT_ARCH_X86_64
#define FILTER_ARCH_COMPAT AUDIT_ARCH_I386
#define COMPAT_SOCKETCALL  102
#define COMPAT_SOCKET      359
#define X32_BIT            0x40000000u
#elif defined(__aarch64__)
#define FILTER_ARCH        AUDIT_ARCH_AARCH64
#define FILTER_ARCH_COMPAT AUDIT_ARCH_ARM
#define COMPAT_SOCKETCALL  102
#define COMPAT_SOCKET      281
#else
#error "weir run knows the system calls of x86-64 and aarch64"
#endif

#define PROG_CAP  160
#define LO(i)     ((uint32_t)(offsetof(struct seccomp_data, args) + 8 * (i)))
#define HI(i)     (LO(i) + 4)
#define ERRNO(e)  (SECCOMP_RET_ERRNO | (uint32_t)(e))
#define NOTIFY    SECCOMP_RET_USER_NOTIF
#define ERRQUEUE  0x2000 /* MSG_ERRQUEUE: the mirror would answer it with data */
#define SIOC_ADDR 0x8910 /* the first ioctl that asks about interfaces and addresses */
#define SIOC_LAST 0x89ff

struct prog {
    struct sock_filter code[PROG_CAP];
    unsigned n;
};

static void emit(struct prog *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
    p->code[p->n++] = (struct sock_filter){.code = code, .jt = jt, .jf = jf, .k = k};
}

static void load(struct prog *p, uint32_t off)
{
    emit(p, BPF_LD | BPF_W | BPF_ABS, off, 0, 0);
}

static void ret(struct prog *p, uint32_t action)
{
    emit(p, BPF_RET | BPF_K, action, 0, 0);
}

/* Skip the next `n` instructions unless the accumulator is k. */
static void unless_eq(struct prog *p, uint32_t k, uint8_t n)
{
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, k, 0, n);
}

static void on_number(struct prog *p, uint32_t nr, uint32_t action)
{
    unless_eq(p, nr, 1);
    ret(p, action);
}

/* A 32-bit program's socket calls can't be carried: its arguments are laid out differently. We are told of them, so
 * that it is said, and everything else of it runs. */
static void other_arch(struct prog *p)
{
    load(p, offsetof(struct seccomp_data, arch));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCH, 6, 0);
    load(p, offsetof(struct seccomp_data, nr));
    on_number(p, COMPAT_SOCKETCALL, NOTIFY);
    on_number(p, COMPAT_SOCKET, NOTIFY);
    ret(p, SECCOMP_RET_ALLOW);
}

/* socket: AF_INET and AF_INET6, streams and datagrams; raw sockets and every other family are the kernel's. */
static void on_socket(struct prog *p)
{
    unless_eq(p, SYS_socket, 10);
    load(p, LO(0));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 2, 0);
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 1, 0);
    ret(p, SECCOMP_RET_ALLOW);
    load(p, LO(1));
    emit(p, BPF_ALU | BPF_AND | BPF_K, 0xf, 0, 0);
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 1, 0);
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, SOCK_DGRAM, 0, 1);
    ret(p, NOTIFY);
    ret(p, SECCOMP_RET_ALLOW);
}

/* sendto and recvfrom without an address are plain bytes; with one, or for the error queue, they are ours. */
static void on_addressed(struct prog *p, uint32_t nr, uint32_t flags)
{
    unless_eq(p, nr, 9);
    load(p, LO(4));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 5);
    load(p, HI(4));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
    load(p, LO(3));
    emit(p, BPF_JMP | BPF_JSET | BPF_K, flags, 1, 0);
    ret(p, SECCOMP_RET_ALLOW);
    ret(p, NOTIFY);
    ret(p, NOTIFY);
}

static void on_ioctl(struct prog *p)
{
    unless_eq(p, SYS_ioctl, 5);
    load(p, LO(1));
    emit(p, BPF_JMP | BPF_JGE | BPF_K, SIOC_ADDR, 0, 2);
    emit(p, BPF_JMP | BPF_JGT | BPF_K, SIOC_LAST, 1, 0);
    ret(p, NOTIFY);
    ret(p, SECCOMP_RET_ALLOW);
}

/* A program that makes itself undumpable could not be served any more (its memory and descriptors would be closed to
 * us): it is told that it has. */
static void on_prctl(struct prog *p)
{
    unless_eq(p, SYS_prctl, 4);
    load(p, LO(0));
    unless_eq(p, PR_SET_DUMPABLE, 1);
    ret(p, ERRNO(0));
    ret(p, SECCOMP_RET_ALLOW);
}

static void build(struct prog *p)
{
    static const uint16_t always[] = {
        SYS_bind,       SYS_connect,    SYS_listen,   SYS_accept,  SYS_accept4, SYS_getsockname, SYS_getpeername,
        SYS_setsockopt, SYS_getsockopt, SYS_shutdown, SYS_sendmsg, SYS_recvmsg, SYS_sendmmsg,    SYS_recvmmsg,
    };

    p->n = 0;
    other_arch(p);
    load(p, offsetof(struct seccomp_data, nr));
#ifdef X32_BIT
    emit(p, BPF_JMP | BPF_JSET | BPF_K, X32_BIT, 0, 1);
    ret(p, ERRNO(ENOSYS));
#endif
    on_number(p, SYS_io_uring_setup, ERRNO(ENOSYS)); /* a ring could make sockets past us; programs fall back */
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        on_number(p, always[i], NOTIFY);
    on_socket(p);
    on_addressed(p, SYS_sendto, 0);
    on_addressed(p, SYS_recvfrom, ERRQUEUE);
    on_ioctl(p);
    on_prctl(p);
    ret(p, SECCOMP_RET_ALLOW);
}

static int install(const struct sock_fprog *fprog)
{
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, fprog);
}

int wir_filter_install(void)
{
    struct prog p;
    build(&p);
    struct sock_fprog fprog = {.len = (unsigned short)p.n, .filter = p.code};

    /* With CAP_SYS_ADMIN no_new_privs isn't needed, and set-user-ID programs go on working. */
    int fd = install(&fprog);
    if (fd < 0 && errno == EACCES) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
            return -errno;
        fd = install(&fprog);
    }
    return fd < 0 ? -errno : fd;
}
