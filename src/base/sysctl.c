/* The table of tunables (sysctl.h): name, place, default, range, and what it does. Linux's names, defaults and
 * meanings. */
#include "base/sysctl.h"

#include "base/bytes.h"
#include "base/str.h"
#include "base/text.h"
#include <limits.h>
#include <weir/errno.h>
#include <weir/stack.h>

enum kind {
    KIND_INT,
    KIND_RANGE, /* two numbers, the first not above the second: ip_local_port_range */
    KIND_MEM,   /* three: struct wi_sysctl_mem */
    KIND_NAME,
    KIND_FIXED, /* text that can't be set: dflt_name */
    KIND_KEYS,  /* one or two keys, each four words in hexadecimal: struct wi_sysctl_keys */
};

struct tunable {
    const char *name;
    const char *help;
    enum kind kind;
    size_t off;
    int64_t dflt[3];
    int64_t min, max;
    const char *dflt_name;
    const char *names; /* of KIND_NAME: the words that it takes */
};

#define AT(member) offsetof(struct wi_sysctl, member)
#define INT(path, member, value, lo, hi, text)                                                                         \
    {                                                                                                                  \
        .name = path #member, .help = text, .kind = KIND_INT, .off = AT(member), .dflt = {value}, .min = lo, .max = hi \
    }
#define V4(member, value, lo, hi, text)   INT("net.ipv4.", member, value, lo, hi, text)
#define CORE(member, value, lo, hi, text) INT("net.core.", member, value, lo, hi, text)
#define CUBIC(member, value, lo, hi, text)                                                                             \
    NAMED("tcp_cubic.parameters." #member, KIND_INT, cubic_##member, value, 0, 0, lo, hi, text)
#define NAMED(path, k, member, a, b, c, lo, hi, text)                                                                  \
    {                                                                                                                  \
        .name = path, .help = text, .kind = k, .off = AT(member), .dflt = {a, b, c}, .min = lo, .max = hi              \
    }

/* clang-format off */
static const struct tunable tunables[] = {
    V4(ip_default_ttl, 64, 1, 255, "TTL and hop limit of what we send (RFC 1122 3.2.1.7)"),
    V4(ip_no_pmtu_disc, 0, 0, 1, "1: send IPv4 without DF (RFC 1191)"),
    NAMED("net.ipv4.ip_local_port_range", KIND_RANGE, ip_local_port_min, 32768, 60999, 0, 1, 65535, "first and last ephemeral port (RFC 6056)"),
    V4(ip_nonlocal_bind, 0, 0, 1, "1: bind takes addresses that are not ours"),
    V4(ipfrag_high_thresh, 4194304, 0, INT64_MAX, "bytes that reassembly may hold (RFC 791, RFC 8200)"),
    V4(ipfrag_time, 30, 1, 3600, "seconds until an incomplete datagram goes (RFC 791; Linux: 30)"),
    V4(icmp_echo_ignore_all, 0, 0, 1, "1: answer no echo request"),
    V4(icmp_echo_ignore_broadcasts, 1, 0, 1, "1: answer no echo request to a group (RFC 1122 3.2.2.6)"),
    V4(icmp_ratelimit, 1000, 0, 3600000, "milliseconds between two ICMP errors to one host; 0: no limit (RFC 1812 4.3.2.8)"),
    V4(icmp_msgs_per_sec, 1000, 0, INT_MAX, "ICMP errors a second to all hosts together"),
    V4(icmp_msgs_burst, 50, 0, INT_MAX, "ICMP errors that may be sent at once"),
    NAMED("net.ipv4.route.min_pmtu", KIND_INT, route_min_pmtu, 552, 0, 0, 68, 65535, "smallest IPv4 path MTU that an ICMP message may set (RFC 5927 7)"),
    NAMED("net.ipv4.route.mtu_expires", KIND_INT, route_mtu_expires, 600, 0, 0, 1, 86400, "seconds that a learnt path MTU lasts (RFC 1191 6.3, RFC 8201 4)"),
    NAMED("net.ipv4.neigh.default.gc_thresh3", KIND_INT, neigh_gc_thresh3, 1024, 0, 0, 1, INT_MAX, "neighbours kept at most"),
    NAMED("net.ipv4.neigh.default.unres_qlen", KIND_INT, neigh_unres_qlen, 101, 0, 0, 1, 65535, "packets that wait for one neighbour's link address (RFC 4861 7.2.2)"),
    NAMED("net.ipv4.neigh.default.retrans_time_ms", KIND_INT, neigh_retrans_time_ms, 1000, 0, 0, 1, 3600000, "milliseconds between solicitations (RFC 4861 10)"),
    NAMED("net.ipv4.neigh.default.base_reachable_time_ms", KIND_INT, neigh_base_reachable_time_ms, 30000, 0, 0, 1, INT_MAX, "milliseconds that a confirmation lasts, halved to half as much again by chance (RFC 4861 6.3.2)"),
    NAMED("net.ipv4.neigh.default.delay_first_probe_time", KIND_INT, neigh_delay_first_probe_time, 5, 0, 0, 0, 3600, "seconds in DELAY before the first probe (RFC 4861 10)"),
    NAMED("net.ipv4.neigh.default.ucast_solicit", KIND_INT, neigh_ucast_solicit, 3, 0, 0, 1, 255, "unicast probes before FAILED (RFC 4861 10)"),
    NAMED("net.ipv4.neigh.default.mcast_solicit", KIND_INT, neigh_mcast_solicit, 3, 0, 0, 1, 255, "broadcast or multicast solicitations before FAILED (RFC 4861 10)"),
    V4(igmp_max_memberships, 20, 1, 65535, "groups that a socket may join"),
    NAMED("net.ipv6.conf.default.accept_ra", KIND_INT, accept_ra, 0, 0, 0, 0, 1, "1: take prefixes, default route and MTU from router advertisements (RFC 4861, RFC 4862)"),
    NAMED("net.ipv6.bindv6only", KIND_INT, ipv6_bindv6only, 0, 0, 0, 0, 1, "IPV6_V6ONLY of new sockets (RFC 3493 5.3)"),
    NAMED("net.ipv6.conf.default.hop_limit", KIND_INT, ipv6_hop_limit, 64, 0, 0, 1, 255, "hop limit of IPv6 packets"),

    {.name = "net.core.default_qdisc", .kind = KIND_NAME, .off = AT(default_qdisc), .dflt_name = "pfifo_fast", .names = "pfifo_fast fq",
     .help = "fq: every TCP connection is paced; pfifo_fast: those that ask for it (SO_MAX_PACING_RATE, bbr)"},
    CORE(rmem_default, 212992, 2304, INT_MAX, "SO_RCVBUF of new UDP sockets, bytes"),
    CORE(rmem_max, 4194304, 2304, INT_MAX, "largest SO_RCVBUF that may be asked for, bytes"),
    CORE(wmem_default, 212992, 4608, INT_MAX, "SO_SNDBUF of new UDP sockets, bytes"),
    CORE(wmem_max, 4194304, 4608, INT_MAX, "largest SO_SNDBUF that may be asked for, bytes"),
    CORE(somaxconn, 4096, 0, INT_MAX, "largest backlog of a listener"),

    NAMED("net.ipv4.tcp_rmem", KIND_MEM, tcp_rmem, 4096, 131072, 6291456, 1, INT_MAX, "receive buffer: least (not used here), first, most; bytes (RFC 7323 2)"),
    NAMED("net.ipv4.tcp_wmem", KIND_MEM, tcp_wmem, 4096, 16384, 4194304, 1, INT_MAX, "send buffer: least (not used here), first, most; bytes"),
    V4(tcp_abort_on_overflow, 0, 0, 1, "1: reset connections that the accept queue has no room for"),
    V4(tcp_adv_win_scale, 1, -31, 31, "share of the receive buffer that is overhead"),
    V4(tcp_base_mss, 1024, 48, 65535, "segment size that the search for the path's MTU begins with (RFC 4821 7.2)"),
    V4(tcp_challenge_ack_limit, INT_MAX, 0, INT_MAX, "challenge ACKs a second of one connection (RFC 5961 7); tcp_invalid_ratelimit bounds them too"),
    V4(tcp_comp_sack_delay_ns, 1000000, 0, INT_MAX, "nanoseconds that one ACK waits for more segments that are out of order, at most: 5 % of the RTT if that is less"),
    V4(tcp_comp_sack_nr, 44, 0, 255, "segments out of order that share an ACK at most; 0: each has its own (RFC 5681 4.2)"),
    V4(tcp_comp_sack_slack_ns, 100000, 0, INT_MAX, "nanoseconds by which that ACK may be later still, so that timers can fire together"),
    V4(tcp_dsack, 1, 0, 1, "1: report duplicates (RFC 2883)"),
    V4(tcp_early_retrans, 3, 0, 4, "3: tail loss probes; 0: none (RFC 8985 7)"),
    V4(tcp_ecn, 2, 0, 5, "congestion notification. 0: never; 1: ask and answer, 2: answer (RFC 3168); AccECN (RFC 9768) 3: ask and answer, 4: answer, ask as 1, 5: answer"),
    V4(tcp_ecn_fallback, 1, 0, 1, "1: without ECN where it doesn't get through: a SYN again (RFC 3168 6.1.1.1), overwritten bits (RFC 9768 3.2.2.3)"),
    V4(tcp_ecn_option, 2, 0, 3, "AccECN's option. 0: never; 1: when it must be; 2: in every segment; 3: even where it gets lost"),
    V4(tcp_ecn_option_beacon, 3, 0, 63, "AccECN's option with tcp_ecn_option 1: so often a round trip at least"),
    V4(tcp_fack, 0, 0, 1, "no effect, as in Linux: RACK took the place of forward acknowledgement"),
    V4(tcp_fastopen, 1, 0, INT_MAX, "Fast Open (RFC 7413): 1 client, 2 server, 4 client without cookie, 0x200 server without cookie, 0x400 every listener"),
    V4(tcp_fastopen_blackhole_timeout_sec, 0, 0, INT_MAX, "seconds without Fast Open after a path swallowed it, doubled each time; 0: never"),
    {.name = "net.ipv4.tcp_fastopen_key", .kind = KIND_KEYS, .off = AT(tcp_fastopen_key),
     .help = "Fast Open keys: the current one and, behind a comma, the last one (RFC 7413 4.1.2)"},
    V4(tcp_fin_timeout, 60, 0, 3600, "seconds that an orphan waits in FIN-WAIT-2"),
    V4(tcp_frto, 2, 0, 2, "above 0: detect spurious timeouts (RFC 5682)"),
    V4(tcp_invalid_ratelimit, 500, 0, INT_MAX, "milliseconds between two ACKs of a connection that answer invalid segments"),
    V4(tcp_keepalive_intvl, 75, 1, 32767, "seconds between keepalive probes"),
    V4(tcp_keepalive_probes, 9, 1, 127, "unanswered keepalive probes that end a connection"),
    V4(tcp_keepalive_time, 7200, 1, 32767, "idle seconds before the first keepalive probe (RFC 9293 3.8.4)"),
    V4(tcp_max_orphans, 8192, 0, INT_MAX, "connections without a handle kept at most"),
    V4(tcp_max_reordering, 300, 1, INT_MAX, "largest reordering degree that is learnt, segments"),
    V4(tcp_max_syn_backlog, 512, 1, INT_MAX, "half-open connections of a listener (RFC 4987)"),
    V4(tcp_max_tw_buckets, 65536, 0, INT_MAX, "connections in TIME-WAIT kept at most"),
    V4(tcp_min_rtt_wlen, 300, 0, 86400, "seconds that a minimum RTT counts"),
    V4(tcp_min_snd_mss, 48, 48, 65535, "smallest segment size that a peer may ask for"),
    V4(tcp_min_tso_segs, 2, 1, 65535, "segments in a paced super-segment at least"),
    V4(tcp_moderate_rcvbuf, 1, 0, 1, "1: the receive buffer grows with the connection's need"),
    V4(tcp_mtu_probe_floor, 48, 48, 1500, "smallest segment size that a black hole leads to (RFC 4821 7.7)"),
    V4(tcp_mtu_probing, 0, 0, 2, "1: search for the path's MTU after a black hole; 2: always (RFC 4821)"),
    V4(tcp_notsent_lowat, 4294967295, 0, 4294967295, "unsent bytes above which a socket is not writable"),
    V4(tcp_orphan_retries, 0, 0, 255, "retransmissions of a connection without a handle; 0: 8"),
    V4(tcp_pacing_ca_ratio, 120, 0, 1000, "pacing rate in congestion avoidance, percent of a window an RTT"),
    V4(tcp_pacing_ss_ratio, 200, 0, 1000, "pacing rate in slow start, percent of a window an RTT"),
    V4(tcp_park_idle_ms, 5000, -1, 1000000, "milliseconds without a segment or call after which a connection's memory shrinks to what is its own; 0: as soon as may be; -1: never"),
    V4(tcp_pingpong_thresh, 1, 1, 255, "answers soon after a question that make a connection interactive: its ACKs wait for the next answer"),
    V4(tcp_probe_interval, 600, 300, INT_MAX, "seconds until the path's MTU is searched for again (RFC 4821 7.3)"),
    V4(tcp_probe_threshold, 8, 0, 65535, "bytes of the search range that end the search for the path's MTU"),
    V4(tcp_recovery, 1, 0, 7, "bit 0: RACK (RFC 8985)"),
    V4(tcp_reflect_tos, 0, 0, 1, "1: a SYN-ACK and the connection have the SYN's DSCP"),
    V4(tcp_reordering, 3, 1, 300, "duplicate ACKs that mean loss, at first (RFC 5681 3.2)"),
    V4(tcp_retries1, 3, 0, 255, "timeouts before the path is doubted (RFC 9293 3.8.3, R1): tcp_mtu_probing"),
    V4(tcp_retries2, 15, 0, 255, "timeouts that end a connection (RFC 9293 3.8.3, R2)"),
    V4(tcp_rfc1337, 0, 0, 1, "1: TIME-WAIT ignores resets (RFC 1337)"),
    V4(tcp_rst_ratelimit, 1000, 0, INT_MAX, "resets a second to one peer without a connection, at most; 0: no limit (RFC 4987 2.2)"),
    V4(tcp_rto_max_ms, 120000, 1000, 120000, "largest retransmission timeout, milliseconds (RFC 6298 2.5)"),
    V4(tcp_rto_min_us, 200000, 1, INT_MAX, "smallest retransmission timeout, microseconds (RFC 6298 2.4 says 1 s)"),
    V4(tcp_sack, 1, 0, 1, "1: selective acknowledgement (RFC 2018)"),
    V4(tcp_shrink_window, 0, 0, 1, "1: with window scaling, the window may be taken back when what has come costs more of the buffer than was thought (RFC 7323 2.4)"),
    V4(tcp_slow_start_after_idle, 1, 0, 1, "1: the congestion window decays in idle times (RFC 5681 4.1)"),
    V4(tcp_stdurg, 0, 0, 1, "1: the urgent pointer's RFC 1122 meaning: the last urgent byte (RFC 6093)"),
    V4(tcp_syn_linear_timeouts, 4, 0, 127, "retransmissions of a SYN before the timeout begins to double"),
    V4(tcp_syn_retries, 6, 1, 127, "retransmissions of a SYN"),
    V4(tcp_synack_retries, 5, 0, 255, "retransmissions of a SYN-ACK"),
    V4(tcp_syncookies, 1, 0, 2, "1: when the SYN queue is full; 2: always (RFC 4987 3.6)"),
    V4(tcp_thin_linear_timeouts, 0, 0, 1, "1: the first timeouts of thin streams don't back off"),
    V4(tcp_timestamps, 1, 0, 2, "1: with a random offset; 2: without (RFC 7323 3)"),
    V4(tcp_tso_rtt_log, 9, 0, 63, "each doubling of the minimum RTT from 2 to this power, in us, halves what a super-segment may have beyond a millisecond at the pacing rate"),
    V4(tcp_tso_win_divisor, 3, 0, INT_MAX, "share of the congestion window that one super-segment may take"),
    V4(tcp_tw_reuse, 2, 0, 2, "1: an active open may take a TIME-WAIT port (RFC 6191); 2: on loopback"),
    V4(tcp_tw_reuse_delay, 1000, 1, 60000, "milliseconds in TIME-WAIT before tcp_tw_reuse applies"),
    V4(tcp_window_scaling, 1, 0, 1, "1: window scale option (RFC 7323 2)"),
    V4(tcp_workaround_signed_windows, 0, 0, 1, "1: without window scaling no window above 32767, for peers that take it for a signed number"),
    {.name = "net.ipv4.tcp_congestion_control", .kind = KIND_NAME, .off = AT(tcp_congestion_control), .dflt_name = "cubic",
     .names = WI_SYSCTL_CC_NAMES,
     .help = "congestion control of new connections: reno, cubic, bbr, dctcp (RFC 5681, RFC 9438, draft-ietf-ccwg-bbr, RFC 8257)"},
    {.name = "net.ipv4.tcp_available_congestion_control", .kind = KIND_FIXED, .dflt_name = WI_SYSCTL_CC_NAMES,
     .help = "the congestion controls that there are; read only"},
    {.name = "net.ipv4.tcp_allowed_congestion_control", .kind = KIND_FIXED, .dflt_name = WI_SYSCTL_CC_NAMES,
     .help = "those that TCP_CONGESTION takes: all, since a stack has one owner; read only"},
    CUBIC(fast_convergence, 1, 0, 1, "1: give way to newer flows (RFC 9438 4.7)"),
    CUBIC(hystart, 1, 0, 1, "1: leave slow start before the queue overflows (RFC 9438 4.10)"),
    CUBIC(hystart_detect, 3, 1, 7, "how: 1 by the length of ACK trains, 2 by rising delay, 3 both, as Linux; 4 HyStart++ alone (RFC 9406)"),
    CUBIC(hystart_low_window, 16, 0, INT_MAX, "no HyStart below this many segments"),
    CUBIC(tcp_friendliness, 1, 0, 1, "1: never below Reno's window (RFC 9438 4.3)"),
};
/* clang-format on */

enum { TUNABLE_N = sizeof tunables / sizeof tunables[0] };

static const unsigned numbers_of[] = {
    [KIND_INT] = 1, [KIND_RANGE] = 2, [KIND_MEM] = 3, [KIND_NAME] = 0, [KIND_FIXED] = 0, [KIND_KEYS] = 0};

/* The members that a tunable sets lie side by side. */
_Static_assert(AT(ip_local_port_max) == AT(ip_local_port_min) + sizeof(int64_t),
               "a range's two ends must be neighbours");

static int64_t *numbers_at(struct wi_sysctl *s, const struct tunable *t)
{
    return (int64_t *)(void *)((char *)s + t->off);
}

void wi_sysctl_init(struct wi_sysctl *s)
{
    for (unsigned i = 0; i < TUNABLE_N; i++) {
        const struct tunable *t = &tunables[i];
        if (t->kind == KIND_NAME)
            wi_str_copy((char *)s + t->off, WI_SYSCTL_NAME_CAP, t->dflt_name);
        if (t->kind == KIND_KEYS)
            memset((char *)s + t->off, 0, sizeof(struct wi_sysctl_keys));
        for (unsigned k = 0; k < numbers_of[t->kind]; k++)
            numbers_at(s, t)[k] = t->dflt[k];
    }
}

/* The table's entry for a whole name or one without its first two parts: "net.xxx." */
static const struct tunable *find(const char *name)
{
    for (unsigned i = 0; i < TUNABLE_N; i++) {
        const char *bare = tunables[i].name;
        for (unsigned dots = 0; dots < 2; bare++)
            dots += *bare == '.';
        if (wi_str_equal(tunables[i].name, name) || wi_str_equal(bare, name))
            return &tunables[i];
    }
    return NULL;
}

/* Is it one of these words? */
static bool has_word(const char *words, const char *word)
{
    while (*words) {
        size_t n = 0;
        while (words[n] && words[n] != ' ')
            n++;
        size_t same = 0;
        while (same < n && word[same] == words[same])
            same++;
        if (same == n && !word[n])
            return true;
        words += words[n] ? n + 1 : n;
    }
    return false;
}

static int set_name(struct wi_sysctl *s, const struct tunable *t, const char *value)
{
    if (!has_word(t->names, value))
        return -WEIR_EINVAL;
    wi_str_copy((char *)s + t->off, WI_SYSCTL_NAME_CAP, value);
    return 0;
}

static int set_numbers(struct wi_sysctl *s, const struct tunable *t, const char *value)
{
    int64_t v[3] = {0};
    unsigned n = numbers_of[t->kind];

    for (unsigned k = 0; k < n; k++) {
        if (!wi_parse_i64(&value, &v[k]) || v[k] < t->min || v[k] > t->max)
            return -WEIR_EINVAL;
        if (k > 0 && v[k] < v[k - 1])
            return -WEIR_EINVAL;
    }
    while (*value == ' ' || *value == '\t' || *value == '\n')
        value++;
    if (*value)
        return -WEIR_EINVAL;
    memcpy(numbers_at(s, t), v, n * sizeof v[0]);
    return 0;
}

/* Linux's format: 8 hexadecimal digits at most for each word, which is stored little endian. */
static bool read_key(const char **text, uint8_t key[16])
{
    const char *p = *text;
    for (unsigned word = 0; word < 4; word++) {
        uint32_t v = 0;
        unsigned n = 0;
        for (int d; n < 8 && (d = wi_hex_digit(*p)) >= 0; n++, p++)
            v = v << 4 | (uint32_t)d;
        if (n == 0 || (word < 3 && *p++ != '-'))
            return false;
        wi_put_le32(key + (size_t)word * 4, v);
    }
    *text = p;
    return true;
}

static int set_keys(struct wi_sysctl *s, const struct tunable *t, const char *value)
{
    struct wi_sysctl_keys keys = {.n = 1};
    if (!read_key(&value, keys.key[0]))
        return -WEIR_EINVAL;
    if (*value == ',') {
        value++;
        keys.n = 2;
        if (!read_key(&value, keys.key[1]))
            return -WEIR_EINVAL;
    }
    if (*value && *value != '\n')
        return -WEIR_EINVAL;
    memcpy((char *)s + t->off, &keys, sizeof keys);
    return 0;
}

static void put_keys(struct wi_text *out, const struct wi_sysctl_keys *keys)
{
    for (unsigned i = 0; i < wi_max_u32(keys->n, 1); i++) {
        for (unsigned nibble = 0; nibble < 32; nibble++) {
            if (nibble % 8 == 0 && (i || nibble))
                wi_text_char(out, nibble ? '-' : ',');
            uint32_t word = wi_get_le32(keys->key[i] + (size_t)nibble / 8 * 4);
            wi_text_char(out, "0123456789abcdef"[word >> (28 - nibble % 8 * 4) & 15]);
        }
    }
}

int wi_sysctl_set(struct wi_sysctl *s, const char *name, const char *value)
{
    const struct tunable *t = find(name);

    if (!t)
        return -WEIR_ENOENT;
    if (t->kind == KIND_KEYS)
        return set_keys(s, t, value);
    if (t->kind == KIND_FIXED)
        return -WEIR_EACCES;
    return t->kind == KIND_NAME ? set_name(s, t, value) : set_numbers(s, t, value);
}

int wi_sysctl_get(const struct wi_sysctl *s, const char *name, char *buf, size_t cap)
{
    const struct tunable *t = find(name);
    struct wi_text out = wi_text_in(buf, cap);

    if (!t)
        return -WEIR_ENOENT;
    if (t->kind == KIND_NAME)
        wi_text_str(&out, (const char *)s + t->off);
    if (t->kind == KIND_FIXED)
        wi_text_str(&out, t->dflt_name);
    if (t->kind == KIND_KEYS)
        put_keys(&out, (const struct wi_sysctl_keys *)(const void *)((const char *)s + t->off));
    for (unsigned k = 0; k < numbers_of[t->kind]; k++) {
        int64_t v;
        memcpy(&v, (const char *)s + t->off + k * sizeof v, sizeof v);
        if (k > 0)
            wi_text_char(&out, '\t');
        wi_text_i64(&out, v);
    }
    return out.wanted < cap ? (int)out.wanted : -WEIR_ENOBUFS;
}

const char *weir_sysctl_name(unsigned i)
{
    return i < TUNABLE_N ? tunables[i].name : NULL;
}

const char *weir_sysctl_help(unsigned i)
{
    return i < TUNABLE_N ? tunables[i].help : NULL;
}
