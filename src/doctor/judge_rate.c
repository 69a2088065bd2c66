/*
 * Verdicts about speed: what a sender waited for.
 */
#include "doctor/parts.h"

#include <inttypes.h>

#define BULK_SEGS  20u /* with fewer there is no speed to speak of */
#define DELAYS_MIN 2u
#define ZERO_MIN   WEIR_MS(1)

static void zero_window(struct wdc_case *k, unsigned side)
{
    const struct wdc_half *h = &k->conn->half[side];
    char all[32], longest[32];
    if (!h->zero_n)
        return;
    struct wdc_finding *f = wdc_find_add(k->result, WDC_ZERO_WINDOW, side ? WDC_SERVER : WDC_CLIENT, WDC_CERTAIN);
    wdc_find_show(f, &h->zero);
    wdc_find_what(f, "%s closed its window %u time%s, for %s in all, at most %s", wdc_side_name(side), h->zero_n,
                  h->zero_n == 1 ? "" : "s", wdc_span(h->zero_ns, all, sizeof all),
                  wdc_span(h->zero_max_ns, longest, sizeof longest));
    wdc_find_cause(f, "its program does not read as fast as data arrive, or is stuck");
    f->remedy = "see what that program waits for (disk, lock, CPU); a larger receive buffer only puts it off";
}

static void delayed(struct wdc_case *k, unsigned side)
{
    const struct wdc_pace *p = &k->conn->half[side].pace;
    char span[32];
    if (p->delayed.n < DELAYS_MIN)
        return;
    struct wdc_finding *f = wdc_find_add(k->result, WDC_NAGLE_DELAYED_ACK, side ? WDC_SERVER : WDC_CLIENT,
                                         p->delayed.n > 3 ? WDC_CERTAIN : WDC_LIKELY);
    wdc_find_show(f, &p->delayed);
    wdc_find_what(f, "%u times %s held a short segment back until a delayed ACK came: %s of waiting", p->delayed.n,
                  wdc_side_name(side), wdc_span(p->delayed_ns, span, sizeof span));
    wdc_find_cause(f, "its program writes a message in pieces: Nagle's algorithm keeps the second until the first is "
                      "acknowledged, and the receiver delays that ACK");
    f->remedy = "write a message in one call (writev), or set TCP_NODELAY";
}

static void limited(struct wdc_case *k, unsigned side)
{
    static const enum wdc_verdict ids[] = {WDC_LIMIT_RECEIVER, WDC_LIMIT_SENDER, WDC_LIMIT_CONGESTION,
                                           WDC_LIMIT_APPLICATION};
    static const char *const causes[] = {
        "the receiver's window: its buffer is too small for the path, or its program reads slowly",
        "the sender itself: its send buffer is too small for the path, or Nagle's algorithm holds short segments back",
        "the network: the congestion window, and recovery from loss",
        "the application: it had nothing to send",
    };
    static const char *const remedies[] = {
        "a larger receive buffer (tcp_rmem, SO_RCVBUF unset), or a faster reader",
        "a larger send buffer (tcp_wmem, SO_SNDBUF unset), larger writes, TCP_NODELAY",
        "less loss, a shorter path, or another congestion control",
        "nothing in TCP: look at the program, or at what it waits for",
    };
    const struct wdc_half *h = &k->conn->half[side];
    const uint8_t *s = k->result->shares[side];
    unsigned most = 0;
    if (!k->result->has_shares[side] || h->segs < BULK_SEGS)
        return;
    for (unsigned i = 1; i < WDC_LIMITS_N; i++)
        if (s[i] > s[most])
            most = i;
    struct wdc_finding *f = wdc_find_add(k->result, ids[most], side ? WDC_SERVER : WDC_CLIENT,
                                         s[most] >= 80   ? WDC_CERTAIN
                                         : s[most] >= 50 ? WDC_LIKELY
                                                         : WDC_POSSIBLE);
    wdc_find_what(f,
                  "%s waited for the receiver's window %u %%, for itself %u %%, for the network %u %%, for its program "
                  "%u %% of the time",
                  wdc_side_name(side), s[WDC_BY_RECEIVER], s[WDC_BY_SENDER], s[WDC_BY_CONGESTION],
                  s[WDC_BY_APPLICATION]);
    wdc_find_cause(f, "%s", causes[most]);
    f->remedy = remedies[most];
}

void wdc_judge_rate(struct wdc_case *k)
{
    for (unsigned side = 0; side < 2; side++) {
        zero_window(k, side);
        delayed(k, side);
        limited(k, side);
    }
}
