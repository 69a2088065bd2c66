/*
 * The text that names a device, "tap:weir0,queues=2" (driver.h): its words, and which kind knows which.
 */
#include "io/driver_kind.h"
#include "io/spec_text.h"
#include "io/units.h"

#include <stdio.h>
#include <string.h>

#define RING_MIN 64
#define RING_MAX 65536
#define MTU_MIN  576
#define MTU_MAX  65535

static const struct wio_driver_kind *const kinds[] = {&wio_kind_tap, &wio_kind_tun, &wio_kind_packet, &wio_kind_xdp,
                                                      &wio_kind_dpdk};
#define KIND_N (sizeof kinds / sizeof kinds[0])

static const char *const words[WIO_WORD_N] = {
    [WIO_WORD_QUEUES] = "queues",   [WIO_WORD_QUEUE] = "queue", [WIO_WORD_MAC] = "mac",   [WIO_WORD_MTU] = "mtu",
    [WIO_WORD_OFFLOAD] = "offload", [WIO_WORD_RING] = "ring",   [WIO_WORD_MODE] = "mode", [WIO_WORD_BUSY] = "busy",
    [WIO_WORD_ARGS] = "args",       [WIO_WORD_EAL] = "eal",
};

static const char *const modes[WIO_MODE_N] = {
    [WIO_MODE_COPY] = "copy", [WIO_MODE_ZEROCOPY] = "zerocopy", [WIO_MODE_BATCH] = "batch"};

/* A piece of the text, not NUL-terminated. */
struct piece {
    const char *at;
    size_t len;
};

static bool is_text(const struct piece *p, const char *text)
{
    return p->len == strlen(text) && memcmp(p->at, text, p->len) == 0;
}

static int find_kind(struct wio_driver_spec *s, const struct piece *p, const struct wio_err *err)
{
    const char *names[KIND_N];
    char list[64];
    for (size_t i = 0; i < KIND_N; i++) {
        names[i] = kinds[i]->name;
        if (is_text(p, names[i]))
            s->kind = kinds[i];
    }
    if (!s->kind)
        return wio_fail(err, "driver", "there is no \"%.*s\": write KIND:DEVICE, and KIND is one of %s",
                        wio_shown(p->len), p->at, wio_join(names, KIND_N, list, sizeof list));
    if (s->kind->absent)
        return wio_fail(err, s->kind->name, "not in this build: %s", s->kind->absent);
    return 0;
}

static int find_word(const struct wio_driver_spec *s, const struct piece *p, const struct wio_err *err)
{
    const char *known[WIO_WORD_N];
    char list[128];
    size_t n = 0;
    for (int i = 0; i < WIO_WORD_N; i++) {
        if (!(s->kind->words & 1u << i))
            continue;
        if (is_text(p, words[i]))
            return i;
        known[n++] = words[i];
    }
    return wio_fail(err, s->kind->name, "it has no word \"%.*s\", but %s", wio_shown(p->len), p->at,
                    wio_join(known, n, list, sizeof list));
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "02:00:00:00:00:01": an address of one station. */
static bool read_mac(uint8_t mac[6], const struct piece *v)
{
    static const uint8_t none[6];
    if (v->len != 17)
        return false;
    for (size_t i = 0; i < 6; i++) {
        int hi = hex_digit(v->at[3 * i]), lo = hex_digit(v->at[3 * i + 1]);
        if (hi < 0 || lo < 0 || (i < 5 && v->at[3 * i + 2] != ':'))
            return false;
        mac[i] = (uint8_t)(hi << 4 | lo);
    }
    return !(mac[0] & 1) && memcmp(mac, none, 6) != 0;
}

/* A number from min to max; -1: it isn't one. */
static int64_t read_number(const struct piece *v, uint64_t min, uint64_t max)
{
    uint64_t n;
    return wio_unit_parse(WIO_UNIT_COUNT, v->at, v->len, &n) && n >= min && n <= max ? (int64_t)n : -1;
}

static int read_ring(struct wio_driver_spec *s, const struct piece *v)
{
    int64_t n = read_number(v, RING_MIN, RING_MAX);
    if (n < 0 || (n & (n - 1)))
        return -1;
    s->ring = (uint32_t)n;
    return 0;
}

static int read_mode(struct wio_driver_spec *s, const struct piece *v)
{
    for (int i = 1; i < WIO_MODE_N; i++) {
        if ((s->kind->modes & 1u << i) && is_text(v, modes[i])) {
            s->mode = (enum wio_mode)i;
            return 0;
        }
    }
    return -1;
}

static int read_switch(bool *on, const struct piece *v)
{
    *on = is_text(v, "on");
    return *on || is_text(v, "off") ? 0 : -1;
}

static int read_text(char *to, size_t cap, const struct piece *v)
{
    if (v->len == 0 || v->len >= cap)
        return -1;
    memcpy(to, v->at, v->len);
    to[v->len] = '\0';
    return 0;
}

/* 0 or -1: not a value of that word. */
static int read_value(struct wio_driver_spec *s, enum wio_word word, const struct piece *v)
{
    int64_t n = 0;
    switch (word) {
    case WIO_WORD_QUEUES: s->queue_n = (unsigned)(n = read_number(v, 1, WIO_QUEUES_MAX)); break;
    case WIO_WORD_QUEUE: s->queue = (unsigned)(n = read_number(v, 0, 1023)); break;
    case WIO_WORD_MAC: return read_mac(s->mac, v) ? 0 : -1;
    case WIO_WORD_MTU: s->mtu = (uint32_t)(n = read_number(v, MTU_MIN, MTU_MAX)); break;
    case WIO_WORD_OFFLOAD: return read_switch(&s->has_offloads, v);
    case WIO_WORD_RING: return read_ring(s, v);
    case WIO_WORD_MODE: return read_mode(s, v);
    case WIO_WORD_BUSY: s->is_busy = true; return v->at ? -1 : 0;
    case WIO_WORD_ARGS: return read_text(s->args, sizeof s->args, v);
    case WIO_WORD_EAL: return read_text(s->eal, sizeof s->eal, v);
    case WIO_WORD_N: return -1;
    }
    return n < 0 ? -1 : 0;
}

static const char *example_of(enum wio_word word)
{
    switch (word) {
    case WIO_WORD_QUEUES: return "queues=2, at most 16";
    case WIO_WORD_QUEUE: return "queue=0";
    case WIO_WORD_MAC: return "mac=02:00:00:00:00:01, one station's";
    case WIO_WORD_MTU: return "mtu=1500, from 576 to 65535";
    case WIO_WORD_OFFLOAD: return "offload=on or offload=off";
    case WIO_WORD_RING: return "ring=1024, a power of two from 64 to 65536";
    case WIO_WORD_MODE: return "mode=copy or mode=zerocopy (xdp), mode=batch (packet)";
    case WIO_WORD_BUSY: return "busy";
    case WIO_WORD_ARGS: return "args=iface=eth0;qpairs=1, at most 127 letters";
    case WIO_WORD_EAL: return "eal=--no-huge;-m;256, at most 127 letters";
    case WIO_WORD_N: break;
    }
    return "";
}

static int read_word(struct wio_driver_spec *s, const char *at, size_t len, const struct wio_err *err)
{
    const char *eq = memchr(at, '=', len);
    struct piece name = {at, eq ? (size_t)(eq - at) : len};
    struct piece value = {eq ? eq + 1 : NULL, eq ? len - name.len - 1 : 0};
    int word = find_word(s, &name, err);
    if (word < 0)
        return -1;
    if ((!value.at && word != WIO_WORD_BUSY) || read_value(s, (enum wio_word)word, &value) < 0)
        return wio_fail(err, s->kind->name, "\"%.*s\" makes no sense: write %s", wio_shown(len), at,
                        example_of((enum wio_word)word));
    s->words |= 1u << word;
    return 0;
}

int wio_driver_spec_parse(struct wio_driver_spec *s, const char *text, const struct wio_err *err)
{
    *s = (struct wio_driver_spec){.queue_n = 1, .has_offloads = true};
    size_t len = strcspn(text, ":");
    if (find_kind(s, &(struct piece){text, len}, err) < 0)
        return -1;
    text += len + (text[len] == ':');
    len = strcspn(text, ",");
    if (len >= sizeof s->device)
        return wio_fail(err, s->kind->name, "\"%.*s\": a device's name has at most %zu letters", wio_shown(len), text,
                        sizeof s->device - 1);
    memcpy(s->device, text, len);
    while (text[len] == ',') {
        text += len + 1;
        len = strcspn(text, ",");
        if (read_word(s, text, len, err) < 0)
            return -1;
    }
    return 0;
}
