/* The table of ss: the widths in one pass over the sockets, the lines in another. */
#include "ss/table.h"

#include <string.h>

enum { NETID, STATE, RECV_Q, SEND_Q, LOCAL, LOCAL_PORT, PEER, PEER_PORT, COLUMN_N };

#define CELL_CAP WSS_ADDR_CAP

struct row {
    char cells[COLUMN_N][CELL_CAP];
};

static const struct row header = {
    {"Netid", "State", "Recv-Q", "Send-Q", "Local Address", "Port", "Peer Address", "Port"}};

static void fill(struct row *r, const struct weir_sock_info *s, bool is_numeric)
{
    snprintf(r->cells[NETID], CELL_CAP, "%s", s->protocol == WEIR_IPPROTO_TCP ? "tcp" : "udp");
    snprintf(r->cells[STATE], CELL_CAP, "%s", wss_state_name(s->state));
    snprintf(r->cells[RECV_Q], CELL_CAP, "%u", s->recv_q);
    snprintf(r->cells[SEND_Q], CELL_CAP, "%u", s->send_q);
    wss_host_text(s, &s->local, r->cells[LOCAL], CELL_CAP);
    wss_port_text(s, &s->local, is_numeric, r->cells[LOCAL_PORT], CELL_CAP);
    wss_host_text(s, &s->remote, r->cells[PEER], CELL_CAP);
    wss_port_text(s, &s->remote, is_numeric, r->cells[PEER_PORT], CELL_CAP);
}

static void widen(unsigned *widths, const struct row *r)
{
    for (unsigned c = 0; c < COLUMN_N; c++) {
        unsigned len = (unsigned)strlen(r->cells[c]);
        widths[c] = len > widths[c] ? len : widths[c];
    }
}

static void print_row(FILE *out, const struct wss_table *t, const unsigned *widths, const struct row *r)
{
    for (unsigned c = 0; c < COLUMN_N; c++) {
        bool is_host = c == LOCAL || c == PEER;
        if ((c == NETID && !t->has_netid) || (c == STATE && !t->has_state))
            continue;
        fprintf(out, is_host ? "%*s:" : "%-*s", (int)widths[c], r->cells[c]);
        if (!is_host && c != PEER_PORT)
            putc(' ', out);
    }
}

void wss_table_print(FILE *out, const struct wss_table *t, const struct wss_show *show, const struct wss_socks *socks,
                     const struct wss_owners *owners)
{
    unsigned widths[COLUMN_N] = {0};
    struct row r;
    if (t->has_header)
        widen(widths, &header);
    for (size_t i = 0; i < socks->n; i++) {
        fill(&r, &socks->at[i].view.info, t->is_numeric);
        widen(widths, &r);
    }
    if (t->has_header) {
        print_row(out, t, widths, &header);
        fputs(" Process\n", out);
    }
    for (size_t i = 0; i < socks->n; i++) {
        fill(&r, &socks->at[i].view.info, t->is_numeric);
        print_row(out, t, widths, &r);
        wss_print_details(out, &socks->at[i].view, show, owners);
        putc('\n', out);
    }
}
