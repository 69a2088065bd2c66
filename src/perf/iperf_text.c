/*
 * The report as text, in iperf3's columns.
 */
#include "perf/iperf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RULE "- - - - - - - - - - - - - - - - - - - - - - - - -\n"

/* A number with three digits and its prefix: 1.10 G, 98.5 M, 123 K. */
static const char *scale(double v, double step, const char *prefix, char *buf, size_t cap, char fixed)
{
    static const char letters[] = " KMGT";
    const char *want = fixed ? strchr(letters, fixed & ~0x20) : NULL;
    size_t i = 0;
    while (want ? letters + i < want : v >= step && i + 1 < strlen(letters)) {
        v /= step;
        i++;
    }
    int digits = v < 9.995 ? 2 : v < 99.95 ? 1 : 0;
    snprintf(buf, cap, "%4.*f %s%s", digits, v, (char[]){i ? letters[i] : '\0', '\0'}, prefix);
    return buf;
}

static const char *bytes_text(uint64_t bytes, char *buf, size_t cap)
{
    return scale((double)bytes, 1024, "Bytes", buf, cap, 0);
}

static const char *rate_text(const struct wpf_iperf *t, uint64_t bytes, double seconds, char *buf, size_t cap)
{
    double v = seconds > 0 ? (double)bytes / seconds : 0;
    char unit = t->opts->unit;
    if (unit >= 'A' && unit <= 'Z')
        return scale(v, 1024, "Bytes/sec", buf, cap, unit);
    return scale(v * 8, 1000, "bits/sec", buf, cap, unit);
}

/* "[  1]", and which way where both send. */
static void print_id(const struct wpf_iperf *t, const char *id, bool is_sender)
{
    printf("[%3s]", id);
    if (t->params.is_bidir)
        printf("[%s-%s]", is_sender ? "TX" : "RX", t->is_server ? "S" : "C");
}

static void print_line(const struct wpf_iperf *t, double start, double end, uint64_t bytes)
{
    char amount[32], rate[32];
    printf(" %6.2f-%-6.2f sec  %11s  %15s", start, end, bytes_text(bytes, amount, sizeof amount),
           rate_text(t, bytes, end - start, rate, sizeof rate));
}

static const char *id_text(uint32_t id, char *buf, size_t cap)
{
    snprintf(buf, cap, "%" PRIu32, id);
    return buf;
}

static bool sends_any(const struct wpf_iperf *t)
{
    const struct wpf_iperf_stream *s;
    TAILQ_FOREACH(s, &t->streams, link)
    {
        if (s->is_sender)
            return true;
    }
    return false;
}

static void text_listening(struct wpf_iperf *t)
{
    printf("-----------------------------------------------------------\nServer listening on %u\n"
           "-----------------------------------------------------------\n",
           t->opts->port);
    fflush(stdout);
}

static void text_connecting(struct wpf_iperf *t)
{
    printf("Connecting to host %s, port %u\n", t->opts->host, t->opts->port);
    if (t->params.is_reverse)
        printf("Reverse mode, remote host %s is sending\n", t->opts->host);
    fflush(stdout);
}

static void text_accepted(struct wpf_iperf *t)
{
    char text[WEIR_ADDR_TEXT_CAP];
    printf("Accepted connection from %s, port %u\n", weir_addr_format(&t->control.peer.addr, text, sizeof text),
           t->control.peer.port);
}

static void print_head(const struct wpf_iperf *t, bool is_end)
{
    printf("[ ID]%s Interval             Transfer        Bitrate%s\n", t->params.is_bidir ? "[Role]" : "",
           is_end         ? "           Retr"
           : sends_any(t) ? "           Retr  Cwnd"
                          : "");
}

static void text_started(struct wpf_iperf *t)
{
    const struct wpf_iperf_stream *s;
    char here[WEIR_ADDR_TEXT_CAP], there[WEIR_ADDR_TEXT_CAP];
    TAILQ_FOREACH(s, &t->streams, link)
    {
        printf("[%3" PRIu32 "] local %s port %u connected to %s port %u\n", s->id,
               weir_addr_format(&s->local.addr, here, sizeof here), s->local.port,
               weir_addr_format(&s->peer.addr, there, sizeof there), s->peer.port);
    }
    if (t->opts->interval)
        print_head(t, false);
    fflush(stdout);
}

static void print_interval_sum(const struct wpf_iperf *t, bool is_sender)
{
    const struct wpf_iperf_stream *s, *last = NULL;
    uint64_t bytes = 0;
    int64_t retransmits = 0;
    unsigned n = 0;
    TAILQ_FOREACH(s, &t->streams, link)
    {
        if (s->is_sender != is_sender)
            continue;
        bytes += s->interval.bytes;
        retransmits += s->interval.retransmits;
        last = s;
        n++;
    }
    if (n < 2)
        return;
    print_id(t, "SUM", is_sender);
    print_line(t, last->interval.start, last->interval.end, bytes);
    if (is_sender)
        printf("  %4" PRId64 "            ", retransmits);
    printf("%s\n", last->interval.is_omitted ? "  (omitted)" : "");
}

static void text_interval(struct wpf_iperf *t)
{
    const struct wpf_iperf_stream *s;
    char buf[32];
    if (t->has_told_interval && t->stream_n > 1)
        fputs(RULE, stdout);
    t->has_told_interval = true;
    TAILQ_FOREACH(s, &t->streams, link)
    {
        print_id(t, id_text(s->id, buf, sizeof buf), s->is_sender);
        print_line(t, s->interval.start, s->interval.end, s->interval.bytes);
        if (s->is_sender)
            printf("  %4" PRId64 "  %10s", s->interval.retransmits,
                   bytes_text((uint64_t)s->tcp.snd_cwnd * s->tcp.snd_mss, buf, sizeof buf));
        printf("%s\n", s->interval.is_omitted ? "  (omitted)" : "");
    }
    print_interval_sum(t, true);
    print_interval_sum(t, false);
    fflush(stdout);
}

/* Of each side what it counted itself; the other's only once it has told. */
static void print_total(const struct wpf_iperf *t, const char *id, bool is_sender, const struct wpf_iperf_total *sum)
{
    if (is_sender || t->has_remote) {
        print_id(t, id, is_sender);
        print_line(t, 0, sum->sent_s, sum->sent);
        if (sum->retransmits >= 0)
            printf("  %4" PRId64 "            sender\n", sum->retransmits);
        else
            printf("                  sender\n");
    }
    if (!is_sender || t->has_remote) {
        print_id(t, id, is_sender);
        print_line(t, 0, sum->received_s, sum->received);
        printf("                  receiver\n");
    }
}

static void text_ended(struct wpf_iperf *t)
{
    const struct wpf_iperf_stream *s;
    char buf[32];
    fputs(RULE, stdout);
    print_head(t, true);
    for (int is_sender = 1; is_sender >= 0; is_sender--) {
        unsigned n = 0;
        struct wpf_iperf_total sum = wpf_iperf_sum(t, is_sender, &n);
        TAILQ_FOREACH(s, &t->streams, link)
        {
            struct wpf_iperf_total one = wpf_iperf_stream_total(s);
            if (s->is_sender == is_sender)
                print_total(t, id_text(s->id, buf, sizeof buf), is_sender, &one);
        }
        if (n > 1)
            print_total(t, "SUM", is_sender, &sum);
    }
    printf("CPU: here %.1f %% (%.1f user, %.1f system)", t->own.cpu_total, t->own.cpu_user, t->own.cpu_system);
    if (t->has_remote)
        printf(", there %.1f %% (%.1f user, %.1f system)", t->remote.cpu_total, t->remote.cpu_user,
               t->remote.cpu_system);
    putchar('\n');
    fflush(stdout);
}

static void text_finish(struct wpf_iperf *t)
{
    if (t->error[0])
        fprintf(stderr, "weir iperf: error - %s\n", t->error);
    else if (!t->is_server)
        printf("\niperf Done.\n");
    fflush(stdout);
}

const struct wpf_iperf_report wpf_iperf_text = {
    .listening = text_listening,
    .connecting = text_connecting,
    .accepted = text_accepted,
    .started = text_started,
    .interval = text_interval,
    .ended = text_ended,
    .finish = text_finish,
};
