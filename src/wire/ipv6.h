/*
 * IPv6 headers, for ip.c alone: everybody else calls what ip.h declares.
 */
#ifndef WI_WIRE_IPV6_H
#define WI_WIRE_IPV6_H

#include "wire/ip.h"

/* Fills *h, all zero before. On a drop it is whole only when h->owed.is_owed. */
enum weir_drop wi_ipv6_parse(struct wi_ip *h, const uint8_t *p, size_t lin_len, size_t len);

/* As wi_ip_skim, but for l4_len. */
bool wi_ipv6_skim(struct wi_ip *h, const uint8_t *p, size_t len);

/* Write the hdr_len bytes that wi_ip_out_len told. */
void wi_ipv6_put(uint8_t *p, size_t hdr_len, const struct wi_ip_out *h);

#endif
