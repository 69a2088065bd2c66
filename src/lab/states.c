/*
 * The state diagram of RFC 9293 (3.3.2, figure 5), and what of it a run visited.
 */
#include "lab/lab.h"

#include <string.h>

/* The figure's edges in its order, but for LISTEN to SYN-SENT, which sockets have no call for, and FIN-WAIT-1 to
 * TIME-WAIT, which the text (3.10.7.4) takes by FIN-WAIT-2: the ACK is looked at before the FIN. */
static const struct {
    const char *from, *to, *name;
} figure[] = {
#define EDGE(from, to)                                                                                                 \
    {                                                                                                                  \
        from, to, from " > " to                                                                                        \
    }
    EDGE("CLOSED", "LISTEN"),           EDGE("CLOSED", "SYN-SENT"),        EDGE("LISTEN", "CLOSED"),
    EDGE("LISTEN", "SYN-RECEIVED"),     EDGE("SYN-SENT", "CLOSED"),        EDGE("SYN-SENT", "SYN-RECEIVED"),
    EDGE("SYN-SENT", "ESTABLISHED"),    EDGE("SYN-RECEIVED", "LISTEN"),    EDGE("SYN-RECEIVED", "ESTABLISHED"),
    EDGE("SYN-RECEIVED", "FIN-WAIT-1"), EDGE("ESTABLISHED", "FIN-WAIT-1"), EDGE("ESTABLISHED", "CLOSE-WAIT"),
    EDGE("FIN-WAIT-1", "FIN-WAIT-2"),   EDGE("FIN-WAIT-1", "CLOSING"),     EDGE("FIN-WAIT-2", "TIME-WAIT"),
    EDGE("CLOSE-WAIT", "LAST-ACK"),     EDGE("CLOSING", "TIME-WAIT"),      EDGE("LAST-ACK", "CLOSED"),
    EDGE("TIME-WAIT", "CLOSED"),
#undef EDGE
};
#define EDGE_N (sizeof figure / sizeof figure[0])

const char *wlb_edge_name(const char *from, const char *to)
{
    for (size_t i = 0; i < EDGE_N; i++) {
        if (strcmp(figure[i].from, from) == 0 && strcmp(figure[i].to, to) == 0)
            return figure[i].name;
    }
    return NULL;
}

/* Each name stands in [brackets] when it was visited, else between blanks. */
static const char *const drawing[] = {
    "                                 [CLOSED]",
    "                 passive open   /        \\   active open: SYN",
    "                               v          v",
    "                         [LISTEN]        [SYN-SENT]",
    "              SYN: SYN, ACK |      SYN: ACK  /   |  SYN, ACK: ACK",
    "                            v               v    |",
    "                       [SYN-RECEIVED]------      |",
    "                            |    ACK of SYN      |",
    "                            v                    v",
    "                           [ESTABLISHED]<---------",
    "               close: FIN  /             \\  FIN: ACK",
    "                          v               v",
    "                 [FIN-WAIT-1]           [CLOSE-WAIT]",
    "      ACK of FIN  /   |  FIN: ACK             |  close: FIN",
    "                 v    v                       v",
    "      [FIN-WAIT-2]  [CLOSING]            [LAST-ACK]",
    "        FIN: ACK  \\   |  ACK of FIN           |  ACK of FIN",
    "                   v  v                       v",
    "                 [TIME-WAIT]  2 MSL ->    [CLOSED]",
};

static bool is_visited(const struct wlb_record *r, const char *name, size_t len)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct wlb_entry *e = &r->entries[i];
        if (e->edge && ((strlen(e->to) == len && memcmp(e->to, name, len) == 0) ||
                        (strlen(e->from) == len && memcmp(e->from, name, len) == 0)))
            return true;
    }
    return false;
}

static void draw_line(const struct wlb_record *r, const char *line, FILE *out)
{
    while (*line) {
        size_t plain = strcspn(line, "[");
        fwrite(line, 1, plain, out);
        line += plain;
        if (!*line)
            break;
        size_t len = strcspn(line + 1, "]");
        bool was = is_visited(r, line + 1, len);
        fprintf(out, "%c%.*s%c", was ? '[' : ' ', (int)len, line + 1, was ? ']' : ' ');
        line += len + 2;
    }
    fputc('\n', out);
}

static unsigned count_edge(const struct wlb_record *r, const char *name)
{
    unsigned n = 0;
    for (size_t i = 0; i < r->n; i++)
        n += r->entries[i].edge == name;
    return n;
}

void wlb_states_print(const struct wlb_record *r, FILE *out)
{
    for (size_t i = 0; i < sizeof drawing / sizeof drawing[0]; i++)
        draw_line(r, drawing[i], out);
    fputc('\n', out);
    for (size_t i = 0; i < EDGE_N; i++) {
        unsigned n = count_edge(r, figure[i].name);
        if (n > 0)
            fprintf(out, "  %-30s %u\n", figure[i].name, n);
        else
            fprintf(out, "  %-30s not visited\n", figure[i].name);
    }
    fputc('\n', out);
}
