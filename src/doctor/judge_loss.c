/*
 * Verdicts about segments that did not arrive, arrived late, or were sent for nothing.
 */
#include "doctor/parts.h"

#include <inttypes.h>

#define STUCK_MIN 3u
#define BIG_MIN   500u /* nobody's MTU is smaller */
#define FULL_MIN  1100u

static const char *way(unsigned side)
{
    return side == 0 ? "from client to server" : "from server to client";
}

static const char *where(const struct wdc_conn *c, unsigned side)
{
    const struct wdc_half *h = &c->half[side];
    if (h->upstream_segs * 2 > h->lost_segs)
        return "before they came to the place of the capture";
    return wdc_vantage(c) == (int)!side ? "behind the place of the capture, which is near their receiver"
                                        : "behind the place of the capture";
}

static void lost(struct wdc_case *k, unsigned side)
{
    struct wdc_conn *c = k->conn;
    const struct wdc_half *h = &c->half[side];
    uint64_t sent = h->segs + h->upstream_segs;
    if (h->lost_segs == 0)
        return;
    bool is_certain = h->upstream_segs || h->lost_segs > 1, is_blind = !c->half[!side].has_sent;
    struct wdc_finding *f = wdc_find_add(k->result, WDC_PATH_LOSS, WDC_PATH,
                                         is_blind     ? WDC_POSSIBLE /* nothing says whether it had arrived */
                                         : is_certain ? WDC_CERTAIN
                                                      : WDC_LIKELY);
    wdc_find_show(f, &h->lost);
    double rate = 100.0 * (double)h->lost_segs / (double)(sent > h->lost_segs ? sent : h->lost_segs);
    wdc_find_what(f,
                  "%" PRIu64 " of %" PRIu64 " segments %s were lost (%.2g %%), in %" PRIu64 " place%s, at most %" PRIu64
                  " in a row",
                  h->lost_segs, sent, way(side), rate, h->burst_n, h->burst_n == 1 ? "" : "s", h->burst_max);
    wdc_find_cause(f, "packets are dropped %s: %s", where(c, side),
                   h->burst_max >= 8 ? "a queue that overflows, or a link that fails for moments"
                                     : "a full queue or a bad link");
    f->remedy =
        "look for drops on the way: interface counters (ip -s link, ethtool -S), duplex, Wi-Fi, a full uplink, a "
        "policer";
}

static void timeouts(struct wdc_case *k, unsigned side)
{
    struct wdc_conn *c = k->conn;
    const struct wdc_half *h = &c->half[side];
    char span[32];
    if (h->timeouts.n) {
        bool is_silent = h->timeout_run >= 2 && h->una < h->nxt && c->rst_side < 0;
        struct wdc_finding *f = wdc_find_add(k->result, WDC_RTO, WDC_PATH, WDC_CERTAIN);
        wdc_find_show(f, &h->timeouts);
        wdc_find_what(f, "%u timeout%s of %s, %s of waiting%s", h->timeouts.n, h->timeouts.n == 1 ? "" : "s",
                      wdc_side_name(side), wdc_span(h->timeouts_ns, span, sizeof span),
                      is_silent ? "; the last ones were never answered" : "");
        wdc_find_cause(f, is_silent
                              ? "the other side has gone silent: its host is down, or the path is broken (or a NAT "
                                "has forgotten the connection)"
                              : "so much was lost at once that no duplicate ACKs could tell of it, or the "
                                "retransmission was lost as well");
        f->remedy = is_silent ? "see whether the other host was up, and what is on the way"
                              : "find the loss; see that both ends use SACK";
    }
    if (h->tails.n) {
        struct wdc_finding *f = wdc_find_add(k->result, WDC_TAIL_LOSS, WDC_PATH, WDC_CERTAIN);
        wdc_find_show(f, &h->tails);
        wdc_find_what(f, "%u time%s the end of what %s sent was lost, and only a timer repaired it: %s of waiting",
                      h->tails.n, h->tails.n == 1 ? "" : "s", wdc_side_name(side),
                      wdc_span(h->tails_ns, span, sizeof span));
        wdc_find_cause(f, "nothing was sent behind what was lost, so that no duplicate ACK told of it");
        f->remedy = "find the loss; a sender with tail loss probes (RFC 8985: Linux, Windows, weir) waits less";
    }
}

static void needless(struct wdc_case *k, unsigned side)
{
    const struct wdc_half *h = &k->conn->half[side];
    if (!h->needless_segs)
        return;
    bool is_reorder = h->reordered > 0;
    struct wdc_finding *f = wdc_find_add(k->result, WDC_SPURIOUS_RETRANSMISSION, side ? WDC_SERVER : WDC_CLIENT,
                                         h->needless.n > 1 ? WDC_CERTAIN : WDC_LIKELY);
    wdc_find_show(f, &h->needless);
    wdc_find_what(f, "%s sent %" PRIu64 " segment%s again that the other side had already", wdc_side_name(side),
                  h->needless_segs, h->needless_segs == 1 ? "" : "s");
    wdc_find_cause(f, is_reorder ? "packets overtook each other, which looked like loss"
                                 : "an ACK was lost or late, or the round trip grew faster than the sender's timer");
    f->remedy =
        "mostly harmless; if often: see what delays packets for moments (queues, Wi-Fi, a paused virtual machine)";
}

static void reordered(struct wdc_case *k, unsigned side)
{
    const struct wdc_half *h = &k->conn->half[side];
    char span[32];
    if (!h->reordered || h->reordered <= h->missed.n) /* what the capture missed may have been retransmissions */
        return;
    struct wdc_finding *f =
        wdc_find_add(k->result, WDC_REORDERING, WDC_PATH, h->reordered > 1 ? WDC_CERTAIN : WDC_LIKELY);
    wdc_find_show(f, &h->reorder);
    wdc_find_what(f, "%" PRIu64 " time%s packets %s were overtaken, by up to %s", h->reordered,
                  h->reordered == 1 ? "" : "s", way(side), wdc_span(h->reorder_late_max, span, sizeof span));
    wdc_find_cause(f, "several ways or queues carry the packets of one connection (load balancing by packet, Wi-Fi, "
                      "several receive queues)");
    f->remedy = "balance load by connection and not by packet; a sender with RACK (RFC 8985) bears it";
}

static void missed(struct wdc_case *k, unsigned side)
{
    const struct wdc_half *h = &k->conn->half[side];
    if (!h->missed_bytes || !h->has_sent)
        return;
    struct wdc_finding *f = wdc_find_add(k->result, WDC_CAPTURE_LOSS, WDC_PATH, WDC_CERTAIN);
    wdc_find_show(f, &h->missed);
    wdc_find_what(f, "%" PRIu64 " bytes %s were acknowledged but are not in the capture (%u gap%s)", h->missed_bytes,
                  way(side), h->missed.n, h->missed.n == 1 ? "" : "s");
    wdc_find_cause(f, "the capture lost packets; the connection did not");
    f->remedy = "a larger capture buffer (tcpdump -B), a shorter snap length (-s 128), a filter";
}

/* Long segments are lost again and again, and none as long was ever acknowledged, while the handshake and shorter ones
 * got through. */
bool wdc_is_black_hole(const struct wdc_conn *c, unsigned side)
{
    const struct wdc_half *h = &c->half[side];
    bool is_heard = c->half[!side].last_at > h->stuck_at; /* the other side is there */
    return c->is_established && !c->syn_ack_again_after_ack && h->stuck_n_max >= STUCK_MIN &&
           h->stuck_len_max >= (is_heard ? BIG_MIN : FULL_MIN) && h->stuck_len_max > h->seg_len_acked_max;
}

void wdc_judge_loss(struct wdc_case *k)
{
    for (unsigned side = 0; side < 2; side++) {
        if (!wdc_is_black_hole(k->conn, side)) { /* that says it all */
            lost(k, side);
            timeouts(k, side);
        }
        needless(k, side);
        reordered(k, side);
        missed(k, side);
    }
}
