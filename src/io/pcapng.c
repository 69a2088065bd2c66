/*
 * Writing pcapng (pcapng.h, draft-ietf-opsawg-pcapng-02). Blocks are made in a buffer, in this machine's byte order as
 * the format has it, and leave whole.
 */
#include "io/pcapng.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define BUFFER_CAP  (256 * 1024)
#define COMMENT_MAX 1024
#define BLOCK_MAX   (66 * 1024 + COMMENT_MAX) /* the largest packet with its comment */

enum block { BLOCK_IDB = 1, BLOCK_NRB = 4, BLOCK_EPB = 6, BLOCK_SHB = 0x0A0D0D0A };
enum option {
    OPT_END = 0,
    OPT_COMMENT = 1,
    SHB_OS = 3,
    SHB_USERAPPL = 4,
    IF_NAME = 2,
    IF_DESCRIPTION = 3,
    IF_TSRESOL = 9,
    EPB_FLAGS = 2,
};
enum { NRB_IPV4 = 1, NRB_IPV6 = 2 };
enum { DLT_ETHERNET = 1, DLT_RAW = 101 };

struct wio_pcapng {
    int fd;
    uint64_t epoch_ns;
    uint32_t snaplen;
    unsigned interface_n;
    size_t len;             /* in buf */
    size_t block_at;        /* where the block under work begins */
    uint64_t buffered_pkts; /* in buf, and their own bytes: counted as lost if it can't be written */
    uint64_t buffered_bytes;
    struct wio_pcapng_stats stats;
    uint8_t buf[BUFFER_CAP];
};

/* ---- Writing out ---- */

/* After a failed write: what lies beyond the last whole flush is cut off again, so that the file still opens. */
static void give_up(struct wio_pcapng *p, int err)
{
    p->stats.err = err;
    p->stats.lost_pkts += p->buffered_pkts;
    p->stats.lost_bytes += p->buffered_bytes;
    if (ftruncate(p->fd, (off_t)p->stats.written_bytes) == 0)
        lseek(p->fd, (off_t)p->stats.written_bytes, SEEK_SET);
}

static int flush(struct wio_pcapng *p)
{
    size_t done = 0;
    while (!p->stats.err && done < p->len) {
        ssize_t n = write(p->fd, p->buf + done, p->len - done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            give_up(p, n == 0 ? ENOSPC : errno);
    }
    if (!p->stats.err) {
        p->stats.written_bytes += p->len;
        p->stats.written_pkts += p->buffered_pkts;
    }
    p->len = 0;
    p->buffered_pkts = p->buffered_bytes = 0;
    return -p->stats.err;
}

int wio_pcapng_flush(struct wio_pcapng *p)
{
    return flush(p);
}

/* ---- Blocks ---- */

static void put(struct wio_pcapng *p, const void *bytes, size_t len)
{
    memcpy(p->buf + p->len, bytes, len);
    p->len += len;
}

static void put16(struct wio_pcapng *p, uint16_t v)
{
    put(p, &v, sizeof v);
}

static void put32(struct wio_pcapng *p, uint32_t v)
{
    put(p, &v, sizeof v);
}

static void pad(struct wio_pcapng *p)
{
    while ((p->len - p->block_at) % 4 != 0)
        p->buf[p->len++] = 0;
}

/* Begin a block; there is room for BLOCK_MAX bytes then. false: the capture has ended. */
static bool begin(struct wio_pcapng *p, enum block type)
{
    if (!p->stats.err && BUFFER_CAP - p->len < BLOCK_MAX)
        flush(p);
    if (p->stats.err)
        return false;
    p->block_at = p->len;
    put32(p, type);
    put32(p, 0); /* its length, known at the end */
    return true;
}

static void end(struct wio_pcapng *p)
{
    uint32_t len = (uint32_t)(p->len - p->block_at) + 4;
    put32(p, len);
    memcpy(p->buf + p->block_at + 4, &len, sizeof len);
}

static void put_option(struct wio_pcapng *p, enum option code, const void *value, size_t len)
{
    put16(p, (uint16_t)code);
    put16(p, (uint16_t)len);
    put(p, value, len);
    pad(p);
}

/* A text option, cut at a whole UTF-8 character. Nothing for NULL or "". */
static void put_text(struct wio_pcapng *p, enum option code, const char *text)
{
    size_t len = text ? strlen(text) : 0;
    if (len > COMMENT_MAX)
        for (len = COMMENT_MAX; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80;)
            len--;
    if (len > 0)
        put_option(p, code, text, len);
}

static void put_section(struct wio_pcapng *p, const struct wio_pcapng_config *c)
{
    if (!begin(p, BLOCK_SHB))
        return;
    put32(p, 0x1A2B3C4D);
    put16(p, 1);
    put16(p, 0);
    put32(p, UINT32_MAX); /* length of the section: not said */
    put32(p, UINT32_MAX);
    put_text(p, OPT_COMMENT, c->comment);
    put_text(p, SHB_OS, "weir");
    put_text(p, SHB_USERAPPL, c->application);
    put_option(p, OPT_END, "", 0);
    end(p);
}

struct wio_pcapng *wio_pcapng_open_fd(int fd, const struct wio_pcapng_config *c)
{
    struct wio_pcapng *p = malloc(sizeof *p);
    if (!p)
        return NULL;
    memset(p, 0, offsetof(struct wio_pcapng, buf));
    p->fd = fd;
    p->epoch_ns = c->epoch_ns;
    p->snaplen = c->snaplen;
    put_section(p, c);
    return p;
}

struct wio_pcapng *wio_pcapng_open(const char *path, const struct wio_pcapng_config *c)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return NULL;
    struct wio_pcapng *p = wio_pcapng_open_fd(fd, c);
    if (!p) {
        close(fd);
        errno = ENOMEM;
    }
    return p;
}

unsigned wio_pcapng_interface(struct wio_pcapng *p, const char *name, const char *description, enum weir_link_type type)
{
    static const uint8_t nanoseconds = 9;
    unsigned number = p->interface_n++;
    if (!begin(p, BLOCK_IDB))
        return number;
    put16(p, type == WEIR_LINK_ETHERNET ? DLT_ETHERNET : DLT_RAW);
    put16(p, 0);
    put32(p, p->snaplen);
    put_text(p, IF_NAME, name);
    put_text(p, IF_DESCRIPTION, description);
    put_option(p, IF_TSRESOL, &nanoseconds, 1);
    put_option(p, OPT_END, "", 0);
    end(p);
    return number;
}

void wio_pcapng_name(struct wio_pcapng *p, const struct weir_addr *addr, const char *name)
{
    bool is_v4 = weir_addr_is_v4(addr);
    size_t addr_len = is_v4 ? 4 : 16, name_len = strlen(name) + 1;
    if (name_len > COMMENT_MAX || !begin(p, BLOCK_NRB))
        return;
    put16(p, is_v4 ? NRB_IPV4 : NRB_IPV6);
    put16(p, (uint16_t)(addr_len + name_len));
    put(p, addr->b + 16 - addr_len, addr_len);
    put(p, name, name_len);
    pad(p);
    put32(p, 0); /* end of the records */
    end(p);
}

void wio_pcapng_packet(struct wio_pcapng *p, unsigned interface, weir_ns at, const struct weir_pkt *pkt,
                       enum wio_pcapng_dir dir, const char *comment)
{
    if (!begin(p, BLOCK_EPB)) {
        p->stats.lost_pkts++;
        p->stats.lost_bytes += pkt->len;
        return;
    }
    uint64_t stamp = p->epoch_ns + at;
    uint32_t cap = pkt->len < 65536 + 64 ? pkt->len : 65536 + 64;
    if (p->snaplen && cap > p->snaplen)
        cap = p->snaplen;
    put32(p, interface);
    put32(p, (uint32_t)(stamp >> 32));
    put32(p, (uint32_t)stamp);
    put32(p, cap);
    put32(p, pkt->len);
    weir_pkt_copy(pkt, 0, p->buf + p->len, cap);
    p->len += cap;
    pad(p);
    put_text(p, OPT_COMMENT, comment);
    if (dir != WIO_PCAPNG_UNKNOWN) {
        uint32_t flags = dir == WIO_PCAPNG_IN ? 1 : 2;
        put_option(p, EPB_FLAGS, &flags, sizeof flags);
    }
    put_option(p, OPT_END, "", 0);
    end(p);
    p->buffered_pkts++;
    p->buffered_bytes += pkt->len;
}

struct wio_pcapng_stats wio_pcapng_stats(const struct wio_pcapng *p)
{
    return p->stats;
}

int wio_pcapng_close(struct wio_pcapng *p, struct wio_pcapng_stats *stats)
{
    flush(p);
    if (close(p->fd) < 0 && !p->stats.err)
        p->stats.err = errno; /* a full disk may show only here, on a network file system */
    int err = -p->stats.err;
    if (stats)
        *stats = p->stats;
    free(p);
    return err;
}
