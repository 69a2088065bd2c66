/* TCP_SAVE_SYN and TCP_SAVED_SYN (Linux's tcp_reqsk_record_syn). */
#include "tcp/savedsyn.h"

#include "base/str.h"

struct wi_tcp_saved_syn *wi_tcp_syn_save(struct wi_core *core, const struct wi_tcp_seg *seg, bool with_link)
{
    uint32_t from = with_link ? 0 : seg->pkt->l3_off, len = seg->pkt->l4_off + seg->h.data_off - from;
    struct wi_tcp_saved_syn *s = wi_core_alloc(core, sizeof *s + len);
    if (!s)
        return NULL;
    s->len = len;
    (void)weir_pkt_copy(seg->pkt, from, s->bytes, len);
    return s;
}

void wi_tcp_syn_forget(struct wi_core *core, struct wi_tcp_saved_syn *s)
{
    if (s)
        wi_core_free(core, s, sizeof *s + s->len);
}

int wi_tcp_syn_read(struct wi_tcp_conn *c, void *value, uint32_t *len)
{
    const struct wi_tcp_saved_syn *s = c->saved_syn;
    uint32_t room = *len;
    *len = s ? s->len : 0;
    if (!s)
        return 0;
    if (room < s->len)
        return -WEIR_EINVAL;
    memcpy(value, s->bytes, s->len);
    wi_tcp_syn_forget(c->sk.core, c->saved_syn);
    c->saved_syn = NULL;
    return 0;
}
