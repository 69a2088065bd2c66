/*
 * Verdicts about what the path does to packets: too small for them, too full, changing them.
 */
#include "doctor/parts.h"

#include <inttypes.h>
#include <math.h>

#define BLOAT_TIMES     3.0
#define BLOAT_MIN       WEIR_MS(50)
#define BLOAT_SAMPLES   20u
#define BLOAT_CORRELATE 0.5

static void black_hole(struct wdc_case *k, unsigned side)
{
    const struct wdc_half *h = &k->conn->half[side];
    bool is_told = h->icmp_big.n > 0;
    bool is_stuck = wdc_is_black_hole(k->conn, side);
    if (!is_told && !is_stuck)
        return;
    struct wdc_finding *f =
        wdc_find_add(k->result, WDC_MTU_BLACK_HOLE, WDC_PATH, is_told && is_stuck ? WDC_CERTAIN : WDC_LIKELY);
    wdc_find_show(f, &h->icmp_big);
    wdc_find_show(f, &h->stuck);
    if (is_told)
        wdc_find_what(f, "a router says that packets of %s are too big (ICMP)%s", wdc_side_name(side),
                      is_stuck ? ", and they are sent as big again" : "");
    else
        wdc_find_what(f,
                      "segments of %u bytes of %s are lost again and again, up to %u times, and none longer than %u "
                      "bytes got through",
                      h->stuck_len_max, wdc_side_name(side), h->stuck_n_max + 1, h->seg_len_acked_max);
    if (h->icmp_mtu)
        wdc_find_cause(f, "the path takes packets of %" PRIu32 " bytes at most", h->icmp_mtu);
    else
        wdc_find_cause(f,
                       "the path takes no packets as big (a tunnel, PPPoE), and the ICMP message that would say so is "
                       "filtered");
    f->remedy =
        "let ICMP \"fragmentation needed\" and \"packet too big\" through; else clamp the MSS at the tunnel, set the "
        "interface's MTU, or net.ipv4.tcp_mtu_probing=1";
}

static bool is_bloated(const struct wdc_rtt *r, weir_ns rest, double *correlate)
{
    if (r->n < BLOAT_SAMPLES || !r->min || r->var <= 0 || r->flight_var <= 0)
        return false;
    *correlate = r->cov / sqrt(r->var * r->flight_var);
    return r->smooth_max >= r->min + BLOAT_MIN &&
           (double)(r->smooth_max + rest) >= BLOAT_TIMES * (double)(r->min + rest) && *correlate >= BLOAT_CORRELATE;
}

/* The queue is before the capture or behind it. */
static void bloat(struct wdc_case *k, unsigned side)
{
    const struct wdc_half *h = &k->conn->half[side];
    const struct wdc_rtt *r = &h->rtt;
    char low[32], high[32];
    double correlate = 0;
    weir_ns rest = k->conn->half[!side].rtt.min;
    if (!is_bloated(r, rest, &correlate)) {
        r = &h->rtt_back;
        rest = h->rtt.min;
        if (!is_bloated(r, rest, &correlate))
            return;
    }
    struct wdc_finding *f =
        wdc_find_add(k->result, WDC_BUFFERBLOAT, WDC_PATH, correlate > 0.75 ? WDC_CERTAIN : WDC_LIKELY);
    wdc_find_frame(f, r->smooth_max_frame);
    wdc_find_frame(f, r->max_frame);
    wdc_find_what(f, "the round trip grew from %s to %s in step with what %s had in flight (correlation %.2f)",
                  wdc_span(r->min + rest, low, sizeof low), wdc_span(r->smooth_max + rest, high, sizeof high),
                  wdc_side_name(side), correlate);
    wdc_find_cause(f, "the queue before the narrowest link is far longer than it needs to be");
    f->remedy =
        "fq_codel or CAKE at the narrowest link (often the modem or Wi-Fi), or a shaper a little below its rate; "
        "BBR at the sender";
}

static void checksums(struct wdc_case *k, unsigned side)
{
    const struct wdc_half *h = &k->conn->half[side];
    uint64_t owed = h->offload_n + h->bad_sum_n - h->corrupt_n;
    if (owed) {
        struct wdc_finding *f = wdc_find_add(k->result, WDC_CHECKSUM_OFFLOAD, side ? WDC_SERVER : WDC_CLIENT,
                                             h->offload_n ? WDC_CERTAIN : WDC_LIKELY);
        wdc_find_show(f, &h->offload);
        wdc_find_what(f, "%" PRIu64 " packets of %s were captured before their checksum was made", owed,
                      wdc_side_name(side));
        wdc_find_cause(f, "the network card makes it: the capture was taken on the sending host. This is no error");
    }
    if (h->corrupt_n) {
        struct wdc_finding *f = wdc_find_add(k->result, WDC_CORRUPTED, WDC_PATH, WDC_CERTAIN);
        wdc_find_show(f, &h->corrupt);
        wdc_find_what(f, "%" PRIu64 " packets of %s have a wrong checksum, while %" PRIu64 " have a right one",
                      h->corrupt_n, wdc_side_name(side), h->good_sum_n);
        wdc_find_cause(f, "something on the way changes bits: a bad cable, card, memory, or a middlebox");
        f->remedy = "look at error counters along the way (ethtool -S), and change cable or card";
    }
}

/* The other side takes the window as it stands in the header, though it is to be shifted. */
static void scaling(struct wdc_case *k, unsigned side)
{
    struct wdc_conn *c = k->conn;
    const struct wdc_half *h = &c->half[side], *peer = &c->half[!side];
    if (peer->wscale < 1 || h->pace.raw_blocked_n < WDC_UNSCALED_MIN || h->pace.over_raw_n * 8 > h->pace.raw_blocked_n)
        return;
    struct wdc_finding *f = wdc_find_add(k->result, WDC_WINDOW_SCALING_BROKEN, WDC_PATH,
                                         h->pace.raw_blocked_n > 30 ? WDC_CERTAIN : WDC_LIKELY);
    wdc_find_show(f, &h->pace.raw_blocked);
    wdc_find_what(
        f,
        "%s never has more in flight than the unscaled window of %s (%u bytes at most), though it was offered "
        "%" PRIu64,
        wdc_side_name(side), wdc_side_name(!side), peer->win_raw_max, peer->win_max);
    wdc_find_cause(
        f, "a middlebox removed or changed the window scale option of a SYN: one side scales, the other does not");
    f->remedy = "update or bypass the firewall or load balancer between; as a stopgap net.ipv4.tcp_window_scaling=0";
}

void wdc_judge_path(struct wdc_case *k)
{
    for (unsigned side = 0; side < 2; side++) {
        black_hole(k, side);
        bloat(k, side);
        checksums(k, side);
        scaling(k, side);
    }
}
