/*
 * Reading settings (settings.h).
 */
#include "drill/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_DEFAULT 8080

void wdr_settings_init(struct wdr_settings *s)
{
    *s = (struct wdr_settings){
        .bind_port = PORT_DEFAULT,
        .connect_port = PORT_DEFAULT,
        .mtu = 1500,
        .tolerance = WEIR_US(4000),
        .tolerance_percent = 12.5,
        .joins_segments = true,
    };
}

static bool fail(struct wdr_error *error, const struct wdr_setting *o, const char *why)
{
    *error = (struct wdr_error){.line = o->line, .column = 1};
    snprintf(error->text, sizeof error->text, "--%s=%s: %s", o->name, o->value, why);
    return false;
}

static bool number(const struct wdr_setting *o, double min, double max, double *out)
{
    char *end;
    double v = strtod(o->value, &end);
    if (end == o->value || *end || !(v >= min && v <= max))
        return false;
    *out = v;
    return true;
}

static bool take_version(struct wdr_settings *s, const struct wdr_setting *o)
{
    static const char *const names[] = {"ipv4", "ipv6", "ipv4-mapped-ipv6"};
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(o->value, names[i]) == 0) {
            s->ip_version = (enum wdr_ip_version)i;
            return true;
        }
    }
    return false;
}

static bool take_address(const struct wdr_setting *o, struct weir_addr *out, bool *has)
{
    *has = weir_addr_parse(out, o->value) == 0;
    return *has;
}

/* What speaks of packetdrill's own machinery and changes nothing that is tested. */
static bool is_harmless(const char *name)
{
    static const char *const names[] = {
        "define",
        "gateway_ip",
        "netmask_ip",
        "speed",
        "code_command",
        "code_format",
        "code_sockopt",
        "verbose",
        "non_fatal",
        "send_omit_free",
        "dry_run",
        "debug",
        "is_anyip",
        "feature",
        "local_gateway_ip",
        "tcp_ts_tick_usecs",
        "tcp_ts_ecr_scaled",
        "wire_protocol",
    };
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

bool wdr_settings_take(struct wdr_settings *s, const struct wdr_setting *o, struct wdr_error *error)
{
    double v = 0;
    if (strcmp(o->name, "ip_version") == 0)
        return take_version(s, o) || fail(error, o, "ipv4, ipv6 or ipv4-mapped-ipv6");
    if (strcmp(o->name, "local_ip") == 0)
        return take_address(o, &s->local, &s->has_local) || fail(error, o, "no address");
    if (strcmp(o->name, "remote_ip") == 0)
        return take_address(o, &s->remote, &s->has_remote) || fail(error, o, "no address");
    if (strcmp(o->name, "strict_segments") == 0) {
        s->joins_segments = false;
        return true;
    }
    if (strcmp(o->name, "init_scripts") == 0) {
        s->init_scripts = o->value;
        return true;
    }
    if (is_harmless(o->name))
        return true;
    if (strcmp(o->name, "mtu") == 0) {
        if (!number(o, 576, 65535, &v))
            return fail(error, o, "between 576 and 65535");
        s->mtu = (uint32_t)v;
    } else if (strcmp(o->name, "bind_port") == 0 || strcmp(o->name, "connect_port") == 0) {
        if (!number(o, 1, 65535, &v))
            return fail(error, o, "between 1 and 65535");
        *(o->name[0] == 'b' ? &s->bind_port : &s->connect_port) = (uint16_t)v;
    } else if (strcmp(o->name, "tolerance_usecs") == 0) {
        if (!number(o, 0, 1e12, &v))
            return fail(error, o, "microseconds");
        s->tolerance = WEIR_US(v);
    } else if (strcmp(o->name, "tolerance_percent") == 0) {
        if (!number(o, 0, 1000, &s->tolerance_percent))
            return fail(error, o, "percent");
    } else {
        return fail(error, o, "no option that scripts know");
    }
    return true;
}

bool wdr_settings_is_v6(const struct wdr_settings *s)
{
    return s->ip_version == WDR_IPV6;
}

int wdr_settings_family(const struct wdr_settings *s)
{
    return s->ip_version == WDR_IPV4 ? WEIR_AF_INET : WEIR_AF_INET6;
}

bool wdr_settings_finish(struct wdr_settings *s, struct wdr_error *error)
{
    bool is_v6 = wdr_settings_is_v6(s);
    if (!s->has_local)
        weir_addr_parse(&s->local, is_v6 ? "fd3d:a0b:17d6::1" : "192.168.0.1");
    if (!s->has_remote)
        weir_addr_parse(&s->remote, is_v6 ? "fd3d:fa7b:d17d::1" : "192.0.2.1");
    if (weir_addr_is_v4(&s->local) != is_v6 && weir_addr_is_v4(&s->remote) != is_v6)
        return true;
    *error = (struct wdr_error){.text = "--local_ip and --remote_ip do not go with --ip_version"};
    return false;
}
