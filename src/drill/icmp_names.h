/*
 * The names that scripts have for ICMP's and ICMPv6's types and codes.
 */
#ifndef WDR_ICMP_NAMES_H
#define WDR_ICMP_NAMES_H

#include <stdbool.h>
#include <stdint.h>

/* Whether either version has a type, or a type with a code, of that name. */
bool wdr_icmp_is_type(const char *type);
bool wdr_icmp_is_code(const char *type, const char *code);

/* The numbers; code NULL: 0. false: that version has no such message. */
bool wdr_icmp_numbers(bool is_v6, const char *type, const char *code, uint8_t *type_out, uint8_t *code_out);

/* The names of a message, NULL where it has none; *code is NULL where the type needs none. */
const char *wdr_icmp_name(bool is_v6, uint8_t type, uint8_t code, const char **code_name);

#endif
