/* What TCP's and UDP's endpoints have in common: see sk.h. */
#include "net/sk.h"

#include "base/str.h"

static void default_options(struct wi_sk_opts *opts, const struct wi_sysctl *sysctl, bool is_stream)
{
    opts->sndbuf_bytes = (uint32_t)(is_stream ? sysctl->tcp_wmem.dflt : sysctl->wmem_default);
    opts->rcvbuf_bytes = (uint32_t)(is_stream ? sysctl->tcp_rmem.dflt : sysctl->rmem_default);
    opts->rcvlowat = 1;
    opts->max_pacing_bps = UINT64_MAX;
    opts->ttl = opts->rack = opts->tlp = -1;
    opts->txrehash = true;
    opts->mcast_ttl = 1; /* RFC 1112 6.1 */
    opts->mcast_loop = true;
    opts->mtu_discover = sysctl->ip_no_pmtu_disc ? 0 : 1;
    opts->v6only = sysctl->ipv6_bindv6only != 0;
}

void wi_sk_init(struct wi_sk *sk, struct wi_core *core, struct wi_net *net, const struct wi_sk_ops *ops, int family,
                int type, int protocol)
{
    memset(sk, 0, sizeof *sk);
    sk->core = core;
    sk->net = net;
    sk->ops = ops;
    sk->id = ++core->conn_id_next;
    sk->family = (uint16_t)family;
    sk->type = (uint8_t)type;
    sk->protocol = (uint8_t)protocol;
    sk->local.family = sk->remote.family = (uint16_t)family;
    sk->local.addr = sk->remote.addr = weir_addr_any(family);
    wi_list_init(&sk->groups);
    default_options(&sk->opts, &core->sysctl, type == WEIR_SOCK_STREAM);
}

int wi_sk_take_err(struct wi_sk *sk)
{
    int err = sk->err ? sk->err : sk->err_soft;
    if (sk->err)
        sk->err = 0;
    else
        sk->err_soft = 0;
    return err;
}
