/*
 * The members of struct weir_tcp_info by name (tcp_info.h).
 */
#include "drill/tcp_info.h"

#include <string.h>

struct member {
    const char *name;
    size_t off, size;
};

#define M(name)                                                                                                        \
    {                                                                                                                  \
#name, offsetof(struct weir_tcp_info, name), sizeof((struct weir_tcp_info *)NULL)->name                        \
    }

/* clang-format off */
static const struct member members[] = {
    M(state), M(ca_state), M(retransmits), M(probes), M(backoff), M(options), M(rto), M(ato), M(snd_mss), M(rcv_mss),
    M(unacked), M(sacked), M(lost), M(retrans), M(fackets), M(last_data_sent), M(last_ack_sent), M(last_data_recv),
    M(last_ack_recv), M(pmtu), M(rcv_ssthresh), M(rtt), M(rttvar), M(snd_ssthresh), M(snd_cwnd), M(advmss),
    M(reordering), M(rcv_rtt), M(rcv_space), M(total_retrans), M(pacing_rate), M(max_pacing_rate), M(bytes_acked),
    M(bytes_received), M(segs_out), M(segs_in), M(notsent_bytes), M(min_rtt), M(data_segs_in), M(data_segs_out),
    M(delivery_rate), M(busy_time), M(rwnd_limited), M(sndbuf_limited), M(delivered), M(delivered_ce), M(bytes_sent),
    M(bytes_retrans), M(dsack_dups), M(reord_seen), M(rcv_ooopack), M(snd_wnd), M(rcv_wnd), M(rehash), M(total_rto),
    M(total_rto_recoveries), M(total_rto_time), M(received_ce), M(delivered_e1_bytes), M(delivered_e0_bytes),
    M(delivered_ce_bytes), M(received_e1_bytes), M(received_e0_bytes), M(received_ce_bytes), M(accecn_fail_mode),
    M(accecn_opt_seen),
};
/* clang-format on */

static bool get_bits(const struct weir_tcp_info *i, const char *name, uint64_t *value)
{
    if (strcmp(name, "snd_wscale") == 0)
        *value = i->snd_wscale;
    else if (strcmp(name, "rcv_wscale") == 0)
        *value = i->rcv_wscale;
    else if (strcmp(name, "delivery_rate_app_limited") == 0)
        *value = i->delivery_rate_app_limited;
    else if (strcmp(name, "fastopen_client_fail") == 0)
        *value = i->fastopen_client_fail;
    else
        return false;
    return true;
}

bool wdr_tcp_info_get(const struct weir_tcp_info *i, const char *name, uint64_t *value)
{
    uint64_t v = 0;
    if (strncmp(name, "tcpi_", 5) != 0)
        return false;
    name += 5;
    for (size_t k = 0; k < sizeof members / sizeof members[0]; k++) {
        if (strcmp(members[k].name, name) == 0) {
            memcpy(&v, (const char *)i + members[k].off, members[k].size); /* little-endian, as every host of ours */
            *value = v;
            return true;
        }
    }
    return get_bits(i, name, value);
}
