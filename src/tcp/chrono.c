/* Linux's tcp_chrono_start, tcp_chrono_stop and tcp_get_info_chrono_stats. */
#include "tcp/chrono.h"

#include "tcp/send.h"

static void set(struct wi_tcp_conn *c, enum wi_tcp_chrono_kind kind)
{
    struct wi_tcp_chrono *k = &c->chrono;
    weir_ns now = c->sk.core->now;
    if (k->kind != WI_TCP_CHRONO_NONE)
        k->spent[k->kind] += now - k->since;
    k->kind = kind;
    k->since = now;
}

void wi_tcp_chrono_start(struct wi_tcp_conn *c, enum wi_tcp_chrono_kind kind)
{
    if (kind > c->chrono.kind)
        set(c, kind);
}

void wi_tcp_chrono_stop(struct wi_tcp_conn *c, enum wi_tcp_chrono_kind kind)
{
    if (wi_list_empty(&c->sndq.recs))
        set(c, WI_TCP_CHRONO_NONE);
    else if (kind == c->chrono.kind)
        set(c, WI_TCP_CHRONO_BUSY);
}

weir_ns wi_tcp_chrono_read(const struct wi_tcp_conn *c, enum wi_tcp_chrono_kind kind)
{
    const struct wi_tcp_chrono *k = &c->chrono;
    return k->spent[kind] + (k->kind == kind ? c->sk.core->now - k->since : 0);
}
