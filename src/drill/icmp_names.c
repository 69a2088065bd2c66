/*
 * The table (icmp_names.h): RFC 792, 950, 1122 3.2.2.1, 1812 5.2.7.1, 4443.
 */
#include "drill/icmp_names.h"

#include <stddef.h>
#include <string.h>

struct message {
    bool is_v6;
    uint8_t type, code;
    const char *type_name, *code_name;
};

static const struct message messages[] = {
    {false, 0, 0, "echo_reply", NULL},
    {false, 3, 0, "unreachable", "net_unreachable"},
    {false, 3, 1, "unreachable", "host_unreachable"},
    {false, 3, 2, "unreachable", "protocol_unreachable"},
    {false, 3, 3, "unreachable", "port_unreachable"},
    {false, 3, 4, "unreachable", "frag_needed"},
    {false, 3, 5, "unreachable", "source_route_failed"},
    {false, 3, 6, "unreachable", "net_unknown"},
    {false, 3, 7, "unreachable", "host_unknown"},
    {false, 3, 8, "unreachable", "source_host_isolated"},
    {false, 3, 9, "unreachable", "net_prohibited"},
    {false, 3, 10, "unreachable", "host_prohibited"},
    {false, 3, 11, "unreachable", "net_unreachable_for_tos"},
    {false, 3, 12, "unreachable", "host_unreachable_for_tos"},
    {false, 3, 13, "unreachable", "packet_filtered"},
    {false, 3, 14, "unreachable", "precedence_violation"},
    {false, 3, 15, "unreachable", "precedence_cutoff"},
    {false, 4, 0, "source_quench", NULL},
    {false, 5, 0, "redirect", "net"},
    {false, 5, 1, "redirect", "host"},
    {false, 8, 0, "echo_request", NULL},
    {false, 11, 0, "time_exceeded", "exceeded_in_transit"},
    {false, 11, 1, "time_exceeded", "exceeded_reassembly"},
    {false, 12, 0, "parameter_problem", NULL},
    {true, 1, 0, "unreachable", "no_route"},
    {true, 1, 1, "unreachable", "admin_prohibited"},
    {true, 1, 2, "unreachable", "not_neighbour"},
    {true, 1, 3, "unreachable", "addr_unreachable"},
    {true, 1, 4, "unreachable", "port_unreachable"},
    {true, 2, 0, "packet_too_big", NULL},
    {true, 3, 0, "time_exceeded", "exceeded_in_transit"},
    {true, 3, 1, "time_exceeded", "exceeded_reassembly"},
    {true, 4, 0, "parameter_problem", "header_field"},
    {true, 4, 1, "parameter_problem", "next_header"},
    {true, 4, 2, "parameter_problem", "option"},
    {true, 128, 0, "echo_request", NULL},
    {true, 129, 0, "echo_reply", NULL},
};

enum { MESSAGE_N = sizeof messages / sizeof messages[0] };

bool wdr_icmp_is_type(const char *type)
{
    for (unsigned i = 0; i < MESSAGE_N; i++) {
        if (strcmp(messages[i].type_name, type) == 0)
            return true;
    }
    return false;
}

static bool has_code(const struct message *m, const char *code)
{
    return code ? m->code_name && strcmp(m->code_name, code) == 0 : m->code == 0;
}

bool wdr_icmp_is_code(const char *type, const char *code)
{
    for (unsigned i = 0; i < MESSAGE_N; i++) {
        if (strcmp(messages[i].type_name, type) == 0 && has_code(&messages[i], code))
            return true;
    }
    return false;
}

bool wdr_icmp_numbers(bool is_v6, const char *type, const char *code, uint8_t *type_out, uint8_t *code_out)
{
    for (unsigned i = 0; i < MESSAGE_N; i++) {
        const struct message *m = &messages[i];
        if (m->is_v6 == is_v6 && strcmp(m->type_name, type) == 0 && has_code(m, code)) {
            *type_out = m->type;
            *code_out = m->code;
            return true;
        }
    }
    return false;
}

const char *wdr_icmp_name(bool is_v6, uint8_t type, uint8_t code, const char **code_name)
{
    *code_name = NULL;
    for (unsigned i = 0; i < MESSAGE_N; i++) {
        const struct message *m = &messages[i];
        if (m->is_v6 == is_v6 && m->type == type && m->code == code) {
            *code_name = m->code_name;
            return m->type_name;
        }
    }
    return NULL;
}
