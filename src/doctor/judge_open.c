/*
 * Verdicts about beginnings: refused, unanswered, answered late, and the same ends anew.
 */
#include "doctor/parts.h"

#include <string.h>

#define ASKED_MIN  2u
#define BUSY_MIN   2u           /* connections to a port that were answered: it is not the port that is filtered */
#define LOCAL_TRIP WEIR_MS(1)   /* a path on which nothing gets lost by chance */
#define RETRY_MIN  WEIR_MS(500) /* a retry sooner is no timer's */

static bool is_unreachable(const struct wdc_conn *c)
{
    return c->icmp_type == (c->icmp_is_v6 ? 1 : 3);
}

static bool is_prohibited(const struct wdc_conn *c)
{
    if (!is_unreachable(c))
        return false;
    return c->icmp_is_v6 ? c->icmp_code == 1 || c->icmp_code == 5 || c->icmp_code == 6
                         : c->icmp_code == 9 || c->icmp_code == 10 || c->icmp_code == 13;
}

static bool is_port_unreachable(const struct wdc_conn *c)
{
    return is_unreachable(c) && c->icmp_code == (c->icmp_is_v6 ? 4 : 3);
}

static bool is_host_unreachable(const struct wdc_conn *c)
{
    return is_unreachable(c) && (c->icmp_is_v6 ? c->icmp_code == 0 || c->icmp_code == 3
                                               : c->icmp_code <= 1 || (c->icmp_code >= 5 && c->icmp_code <= 8) ||
                                                     c->icmp_code == 11 || c->icmp_code == 12);
}

static void refused(struct wdc_case *k)
{
    struct wdc_conn *c = k->conn;
    char port[WEIR_ADDR_TEXT_CAP];
    struct wdc_finding *f = wdc_find_add(k->result, WDC_REFUSED, WDC_SERVER, WDC_CERTAIN);
    weir_sockaddr_format(&c->ends[1], port, sizeof port);
    wdc_find_show(f, &c->syns);
    if (c->rst_side == 1) {
        wdc_find_show(f, &c->resets);
        wdc_find_what(f, "%s answered the SYN with a reset", port);
        wdc_find_cause(f, "nothing listens on that port (or a firewall refuses by reset)");
    } else {
        wdc_find_frame(f, c->icmp_frame);
        wdc_find_what(f, "the SYN to %s was answered with ICMP: port unreachable", port);
        wdc_find_cause(f, "a firewall rejects the port, or the host knows no such protocol");
    }
    f->remedy =
        "start the server, or see which address and port it listens on (ss -ltn) and whether a firewall rejects";
}

static const char *how_long(struct wdc_conn *c, char *buf, size_t cap)
{
    return wdc_span(wdc_since(c->syn_last_at, c->syn_at), buf, cap);
}

static void dead(struct wdc_case *k, struct wdc_host *host)
{
    struct wdc_conn *c = k->conn;
    char from[WEIR_ADDR_TEXT_CAP];
    bool by_icmp = is_host_unreachable(c);
    struct wdc_finding *f = wdc_find_add(k->result, WDC_NO_ANSWER_DEAD, WDC_SERVER, by_icmp ? WDC_CERTAIN : WDC_LIKELY);
    wdc_find_show(f, &c->syns);
    if (by_icmp) {
        wdc_find_frame(f, c->icmp_frame);
        wdc_find_what(f, "%s says that the host can not be reached (ICMP type %d code %d)",
                      weir_addr_format(&c->icmp_from, from, sizeof from), c->icmp_type, c->icmp_code);
        wdc_find_cause(f, "the host is down, or the router has no route to it");
    } else {
        wdc_find_show(f, &host->asked);
        host->is_told = true;
        wdc_find_what(f, "%u SYN%s unanswered, and so %s %u ARP or neighbour request%s for %s", c->syn_n,
                      c->syn_n == 1 ? "" : "s", host->asked_n == 1 ? "is" : "are", host->asked_n,
                      host->asked_n == 1 ? "" : "s", weir_addr_format(&c->ends[1].addr, from, sizeof from));
        wdc_find_cause(f, "no host with that address is up on this network");
    }
    f->remedy = "see whether the host is up and has this address; if so, the router's routes and the cable or VLAN";
}

static void filtered(struct wdc_case *k, bool is_said)
{
    struct wdc_conn *c = k->conn;
    char span[32], from[WEIR_ADDR_TEXT_CAP];
    struct wdc_finding *f =
        wdc_find_add(k->result, WDC_NO_ANSWER_FILTERED, WDC_PATH, is_said ? WDC_CERTAIN : WDC_LIKELY);
    wdc_find_show(f, &c->syns);
    if (is_said) {
        wdc_find_frame(f, c->icmp_frame);
        wdc_find_what(f, "%s says that a rule forbids it (ICMP type %d code %d)",
                      weir_addr_format(&c->icmp_from, from, sizeof from), c->icmp_type, c->icmp_code);
        wdc_find_cause(f, "a firewall on the way rejects the connection and says so");
    } else {
        wdc_find_what(f, "%u SYN%s within %s unanswered, though the host is up: it sends other packets", c->syn_n,
                      c->syn_n == 1 ? "" : "s", how_long(c, span, sizeof span));
        wdc_find_cause(f, "a firewall drops SYNs to this port: a closed port would have been answered with a reset");
    }
    f->remedy = "allow the port in the firewall of the server, its cloud security group, and on the way";
}

static void overflowed(struct wdc_case *k, enum wdc_sure sure, const char *what, const char *cause)
{
    struct wdc_conn *c = k->conn;
    struct wdc_finding *f = wdc_find_add(k->result, WDC_BACKLOG_OVERFLOW, WDC_SERVER, sure);
    wdc_find_show(f, &c->syns);
    wdc_find_show(f, &c->syn_acks);
    wdc_find_what(f, "%s", what);
    wdc_find_cause(f, "%s", cause);
    f->remedy = "make the server accept faster, raise its listen() backlog, net.core.somaxconn and "
                "tcp_max_syn_backlog; see ListenOverflows in nstat";
}

static void unanswered(struct wdc_case *k)
{
    struct wdc_conn *c = k->conn;
    char span[32];
    struct wdc_host *host = wdc_host_find(k->doc, &c->ends[1].addr, 0);
    struct wdc_host *port = wdc_host_find(k->doc, &c->ends[1].addr, c->ends[1].port);
    if (is_prohibited(c)) {
        filtered(k, true);
    } else if (is_host_unreachable(c) || (host && host->asked_n >= ASKED_MIN)) {
        dead(k, host);
    } else if (port && port->answered_n >= BUSY_MIN) {
        overflowed(k, WDC_LIKELY, "SYNs went unanswered, while the same port answered others",
                   "the queue of connections that wait for accept() was full, and the server dropped SYNs");
    } else if (host && (host->is_alive || host->is_resolved)) {
        filtered(k, false);
    } else {
        struct wdc_finding *f =
            wdc_find_add(k->result, WDC_NO_ANSWER, WDC_PATH, c->syn_n > 1 ? WDC_CERTAIN : WDC_POSSIBLE);
        wdc_find_show(f, &c->syns);
        wdc_find_what(f, "%u SYN%s within %s, and no answer", c->syn_n, c->syn_n == 1 ? "" : "s",
                      how_long(c, span, sizeof span));
        wdc_find_cause(f,
                       "nothing in the capture says why: a firewall drops them, the host is down, or the way back is "
                       "missing");
        f->remedy =
            "capture at the server: if the SYNs arrive there, look at its firewall and its way back; if not, at "
            "the firewalls and routes before it";
    }
}

static void half_answered(struct wdc_case *k)
{
    struct wdc_conn *c = k->conn;
    struct wdc_finding *f = wdc_find_add(k->result, WDC_NO_ANSWER, WDC_CLIENT, WDC_POSSIBLE);
    wdc_find_show(f, &c->syn_acks);
    wdc_find_what(f, "the server answered with %u SYN-ACK%s, which the client never acknowledged", c->syn_ack_n,
                  c->syn_ack_n == 1 ? "" : "s");
    wdc_find_cause(f, "the SYN-ACKs do not reach the client (filtered, or another way back), or the SYN came from a "
                      "forged address");
    f->remedy = "compare with a capture at the client; many of these at once are a SYN flood (tcp_syncookies)";
}

/* It was answered, but not the first SYN. */
static void retried(struct wdc_case *k)
{
    struct wdc_conn *c = k->conn;
    char span[32];
    struct wdc_host *port = wdc_host_find(k->doc, &c->ends[1].addr, c->ends[1].port);
    weir_ns waited = wdc_since(c->syn_ack_at, c->syn_at);
    if (c->syn_n < 2 || !c->syn_ack_n || waited < RETRY_MIN || c->syn_last_at > c->syn_ack_at)
        return;
    weir_ns trip = wdc_round_trip(c);
    bool is_near_server = wdc_vantage(c) == 1 || (trip && trip < LOCAL_TRIP);
    bool has_loss = c->half[0].lost_segs || c->half[1].lost_segs;
    if ((is_near_server && !has_loss) || (port && port->retried_n >= 3 && port->answered_n > port->retried_n)) {
        overflowed(k, WDC_LIKELY, "the server answered only a later SYN, though the earlier ones had reached it",
                   "the queue of connections that wait for accept() was full, and the server dropped SYNs");
        return;
    }
    struct wdc_finding *f = wdc_find_add(k->result, WDC_SYN_RETRIES, WDC_PATH, WDC_CERTAIN);
    wdc_find_show(f, &c->syns);
    wdc_find_show(f, &c->syn_acks);
    wdc_find_what(f, "%u SYNs were sent before an answer came, which cost %s", c->syn_n,
                  wdc_span(waited, span, sizeof span));
    wdc_find_cause(f, "a SYN or its SYN-ACK was lost, or the server dropped it because a queue was full");
    f->remedy = "see whether other connections of that time lose packets (path) or only new ones wait (the server's "
                "backlog)";
}

/* The server goes on with SYN-ACKs though the client has acknowledged them. */
static bool is_accept_queue_full(const struct wdc_conn *c)
{
    return c->syn_ack_again_after_ack > 0 && c->half[1].nxt <= WDC_OFF0 + 1 + c->half[1].has_fin;
}

static void reused(struct wdc_case *k)
{
    struct wdc_conn *c = k->conn;
    char span[32];
    struct wdc_finding *f = wdc_find_add(k->result, WDC_PORT_REUSE, WDC_CLIENT, WDC_CERTAIN);
    wdc_find_frame(f, c->reuse_frame);
    wdc_find_show(f, &c->syns);
    wdc_find_what(f, "the same addresses and ports as a connection that spoke last %s before",
                  wdc_span(c->reuse_after, span, sizeof span));
    wdc_find_cause(f, c->was_closed ? "the client has used up its ports, or binds to one: the server may still be in "
                                      "TIME-WAIT"
                                    : "the client has forgotten the earlier connection (restarted?), which was never "
                                      "closed");
    f->remedy = "keep connections open and use them again; widen ip_local_port_range";
}

void wdc_judge_open(struct wdc_case *k)
{
    struct wdc_conn *c = k->conn;
    bool is_answered = c->is_established || c->syn_ack_n;
    if (c->is_reused)
        reused(k);
    if (c->is_mid || (c->syn_n == 0 && c->is_established))
        return;
    if (!is_answered && ((c->rst_side == 1 && !c->odd.n) || is_port_unreachable(c))) {
        refused(k);
    } else if (!is_answered && c->rst_side < 0 && c->syn_n) {
        unanswered(k);
    } else if (!c->is_established && c->syn_ack_n && c->rst_side < 0) {
        half_answered(k);
    } else if (is_answered) {
        if (is_accept_queue_full(c))
            overflowed(k, WDC_LIKELY, "the server sent its SYN-ACK again after the client had acknowledged it",
                       "the queue of connections that wait for accept() is full: the server drops the last step of "
                       "the handshake");
        else
            retried(k);
    }
}
