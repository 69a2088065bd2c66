/*
 * Verdicts about ends: closed, not closed, and who reset it in which state, and why.
 */
#include "doctor/parts.h"

#include <string.h>

#define NAT_IDLE       WEIR_SEC(50) /* NATs forget TCP after minutes, some after one */
#define PROBES_DEAD    3u
#define BACKLOG_WITHIN WEIR_MS(500)

static struct wdc_finding *reset(struct wdc_case *k, enum wdc_verdict id, enum wdc_sure sure)
{
    struct wdc_conn *c = k->conn;
    struct wdc_finding *f = wdc_find_add(k->result, id, c->rst_side ? WDC_SERVER : WDC_CLIENT, sure);
    wdc_find_frame(f, c->rst_prior_frame);
    wdc_find_frame(f, c->rst_frame);
    return f;
}

static const char *state_name(const struct wdc_conn *c)
{
    if (c->rst_in_handshake)
        return c->rst_side == 0 ? "SYN-SENT" : "SYN-RECEIVED";
    if (c->rst_after_own_fin)
        return c->rst_after_peer_fin ? "CLOSING" : "FIN-WAIT";
    return c->rst_after_peer_fin ? "CLOSE-WAIT" : "ESTABLISHED";
}

static void reset_odd(struct wdc_case *k, const char *who)
{
    struct wdc_conn *c = k->conn;
    struct wdc_finding *f = reset(k, WDC_RESET_HALF_OPEN, WDC_CERTAIN);
    wdc_find_show(f, &c->odd);
    wdc_find_what(f, "%s reset what the other side still took for an open connection", who);
    wdc_find_cause(f, "the other side has a connection of the same ports from before, which this one has lost (crash, "
                      "restart); it answered a SYN with numbers of the old one");
    f->remedy = "nothing: this is how TCP gets rid of it. Keepalive on the server finds such connections sooner";
}

static void reset_stranger(struct wdc_case *k, const char *who)
{
    struct wdc_conn *c = k->conn;
    char span[32];
    bool is_nat = c->rst_idle >= NAT_IDLE && !c->rst_after_timeouts;
    struct wdc_finding *f = reset(k, is_nat ? WDC_RESET_IDLE_NAT : WDC_RESET_HALF_OPEN,
                                  c->rst_ttl_differs || !is_nat ? WDC_LIKELY : WDC_POSSIBLE);
    if (c->idle)
        wdc_find_frame(f, c->idle_frame);
    if (is_nat) {
        f->sure = c->rst_ttl_differs ? WDC_CERTAIN : WDC_LIKELY;
        wdc_find_what(f, "after %s of silence the next segment was answered with a reset in %s's name%s",
                      wdc_span(c->rst_idle, span, sizeof span), who,
                      c->rst_ttl_differs ? ", with a TTL that it never had: something between sent it" : "");
        wdc_find_cause(f, "a NAT, firewall or load balancer forgot the idle connection");
        f->remedy =
            "keepalive more often than its timeout (TCP_KEEPIDLE, or in the protocol), or a longer timeout there";
        return;
    }
    wdc_find_what(f,
                  "%s, in state ESTABLISHED for the other side, answered a segment with a bare reset: it knows no "
                  "such connection%s",
                  who, c->rst_after_timeouts ? ", after segments went unanswered" : "");
    wdc_find_cause(f, "its host restarted or its stack lost the connection, without the other side hearing of it");
    f->remedy = "see why the host restarted; connect again; keepalive finds it sooner";
}

static void reset_established(struct wdc_case *k, const char *who)
{
    struct wdc_conn *c = k->conn;
    unsigned side = (unsigned)c->rst_side;
    const struct wdc_half *me = &c->half[side];
    char span[32];
    bool is_closed_socket = c->rst_after_own_fin;
    if (c->rst_probes >= 2) {
        struct wdc_finding *f = reset(k, WDC_KEEPALIVE_DEATH, WDC_CERTAIN);
        f->whose = side ? WDC_CLIENT : WDC_SERVER;
        wdc_find_show(f, &me->probes);
        wdc_find_what(f, "%u keepalive probes of %s went unanswered, and it gave the connection up", c->rst_probes,
                      who);
        wdc_find_cause(f, "the other host is gone, or something between forgot the connection and drops its packets");
        f->remedy = "see whether the other host was up then; if so, look for a NAT or firewall with an idle timeout";
    } else if (is_closed_socket) {
        struct wdc_finding *f = reset(k, WDC_RESET_CLOSED_SOCKET, WDC_CERTAIN);
        wdc_find_show(f, &c->fins);
        wdc_find_what(f, "%s had closed (FIN sent, state %s) and answered data that came after it with a reset", who,
                      state_name(c));
        wdc_find_cause(f, "its program closed the socket while the other one was still sending");
        f->remedy = "let the one that closes read to the end first (shutdown, then read until EOF)";
    } else if (side == 1 && me->nxt <= WDC_OFF0 + 1 && c->syn_ack_n && !c->rst_has_ack &&
               (wdc_since(c->rst_at, c->ack_at) < BACKLOG_WITHIN || c->syn_ack_again_after_ack)) {
        struct wdc_finding *f = reset(k, WDC_RESET_BACKLOG, WDC_LIKELY);
        wdc_find_show(f, &c->syn_acks);
        wdc_find_what(f, "%s reset the connection upon the last step of the handshake", who);
        wdc_find_cause(f, "its accept queue is full and it is set to refuse then (tcp_abort_on_overflow)");
        f->remedy = "make the server accept faster, raise its listen() backlog and net.core.somaxconn";
    } else if (c->rst_again_frame) {
        struct wdc_finding *f = reset(k, WDC_RESET_HALF_OPEN, WDC_LIKELY);
        wdc_find_frame(f, c->rst_again_frame);
        wdc_find_what(f, "%s gave the connection up with a reset, the other side went on, and was reset again", who);
        wdc_find_cause(f, "the first reset was lost, and the other side still took the connection for open");
        f->remedy = "see why the program gave up; keepalive on the other side finds such connections sooner";
    } else if (c->rst_answers || (c->rst_idle >= NAT_IDLE && c->rst_ttl_differs)) {
        reset_stranger(k, who);
    } else if (c->rst_unread) {
        struct wdc_finding *f = reset(k, WDC_RESET_UNREAD, WDC_LIKELY);
        wdc_find_what(f, "%s reset in state %s, with data of the other side that it had not answered", who,
                      state_name(c));
        wdc_find_cause(f, "its program closed the socket (or died) with received data unread");
        f->remedy = "read to the end before close(), or find out why the program died";
    } else {
        struct wdc_finding *f = reset(k, WDC_RESET_ABORT, c->rst_has_ack ? WDC_LIKELY : WDC_POSSIBLE);
        wdc_find_what(f, "%s reset in state %s, %s after the other side's last packet", who, state_name(c),
                      wdc_span(wdc_since(c->rst_at, c->half[!side].last_at), span, sizeof span));
        wdc_find_cause(f, "its program aborted the connection (SO_LINGER 0, a limit, an error), or a middlebox did");
        f->remedy = "look into that program's log at that time";
    }
}

static void was_reset(struct wdc_case *k)
{
    struct wdc_conn *c = k->conn;
    const char *who = wdc_side_name((unsigned)c->rst_side);
    if (c->odd.n && c->rst_in_handshake) {
        reset_odd(k, who);
    } else if (c->rst_in_handshake && c->rst_side == 0 && c->syn_ack_n) {
        struct wdc_finding *f = reset(k, WDC_RESET_ABORT, WDC_LIKELY);
        wdc_find_what(f, "the client answered the SYN-ACK with a reset (state SYN-SENT)");
        wdc_find_cause(f, "its program gave up while connecting, it is a port scan, or it has never sent that SYN");
        f->remedy = "see what the client's program does; many of these from one address are a scan";
    } else if (c->is_established || c->syn_ack_n) {
        reset_established(k, who);
    } else if (c->rst_side == 0) {
        struct wdc_finding *f = reset(k, WDC_RESET_ABORT, WDC_POSSIBLE);
        wdc_find_what(f, "the client reset before it had an answer");
        wdc_find_cause(f, "its program gave up while connecting");
    } else if (c->syn_n == 0) {
        reset_stranger(k, who);
    }
}

static void closed(struct wdc_case *k, enum wdc_sure sure)
{
    struct wdc_conn *c = k->conn;
    unsigned first = c->half[1].has_fin && (!c->half[0].has_fin || c->fin_first == 1);
    struct wdc_finding *f = wdc_find_add(k->result, WDC_CLOSED, first ? WDC_SERVER : WDC_CLIENT, sure);
    wdc_find_show(f, &c->fins);
    wdc_find_what(f, "closed by both, %s first%s", wdc_side_name(first),
                  c->rst_is_late ? "; a reset came after the end" : "");
}

static void half_closed(struct wdc_case *k, unsigned side)
{
    struct wdc_conn *c = k->conn;
    char span[32];
    bool is_acked = c->half[side].una >= c->half[side].fin_off;
    struct wdc_finding *f =
        wdc_find_add(k->result, WDC_NEVER_CLOSED, side ? WDC_CLIENT : WDC_SERVER, is_acked ? WDC_CERTAIN : WDC_LIKELY);
    wdc_find_show(f, &c->fins);
    wdc_find_frame(f, c->last);
    wdc_find_what(f, "%s closed, and %s did not, up to the end of the capture %s later%s", wdc_side_name(side),
                  wdc_side_name(!side), wdc_span(wdc_since(k->doc->counts.ended, c->fin_at), span, sizeof span),
                  is_acked ? "" : "; the FIN was not even acknowledged");
    wdc_find_cause(f, is_acked
                          ? "its program does not close the socket (CLOSE-WAIT: a leak), or still has something to send"
                          : "it is gone, or the FIN does not reach it");
    f->remedy = is_acked ? "find the program that keeps sockets in CLOSE-WAIT (ss -tp state close-wait)"
                         : "see whether that host was up";
}

/* Probes without an answer up to the end. */
static bool keepalive_dies(struct wdc_case *k)
{
    struct wdc_conn *c = k->conn;
    for (unsigned side = 0; side < 2; side++) {
        const struct wdc_half *h = &c->half[side];
        if (h->keepalive_run < PROBES_DEAD || !c->half[!side].has_sent)
            continue;
        struct wdc_finding *f =
            wdc_find_add(k->result, WDC_KEEPALIVE_DEATH, side ? WDC_CLIENT : WDC_SERVER, WDC_LIKELY);
        wdc_find_show(f, &h->probes);
        wdc_find_what(f, "%u keepalive probes of %s have gone unanswered", h->keepalive_run, wdc_side_name(side));
        wdc_find_cause(f, "the other host is gone, or something between forgot the connection and drops its packets");
        f->remedy = "see whether the other host was up then; if so, look for a NAT or firewall with an idle timeout";
        return true;
    }
    return false;
}

static void still_open(struct wdc_case *k)
{
    struct wdc_conn *c = k->conn;
    struct wdc_finding *f = wdc_find_add(k->result, WDC_OPEN, WDC_PATH, WDC_CERTAIN);
    wdc_find_frame(f, c->last);
    wdc_find_what(f, "open when the capture ended");
}

void wdc_judge_end(struct wdc_case *k)
{
    struct wdc_conn *c = k->conn;
    const struct wdc_half *a = &c->half[0], *b = &c->half[1];
    if (c->rst_side >= 0) {
        if (!(k->result->finding_n && k->result->findings[k->result->finding_n - 1].id == WDC_REFUSED))
            was_reset(k);
    } else if (a->has_fin && b->has_fin) {
        closed(k, WDC_CERTAIN);
    } else if ((a->has_fin && !b->has_sent) || (b->has_fin && !a->has_sent)) {
        closed(k, WDC_POSSIBLE);
    } else if (a->has_fin || b->has_fin) {
        half_closed(k, b->has_fin);
    } else if (c->is_established && !keepalive_dies(k)) {
        still_open(k);
    }
}
