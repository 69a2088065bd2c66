/*
 * The options of a run: "--mtu=1500" and the like, of the script or of the command line, in packetdrill's words.
 */
#ifndef WDR_SETTINGS_H
#define WDR_SETTINGS_H

#include <weir/weir.h>

#include "drill/ast.h"

enum wdr_ip_version { WDR_IPV4, WDR_IPV6, WDR_IPV4_MAPPED };

struct wdr_settings {
    enum wdr_ip_version ip_version;
    struct weir_addr local, remote;
    bool has_local, has_remote;
    const char *init_scripts; /* shell commands to begin with, between commas; NULL: none */
    uint16_t bind_port, connect_port;
    uint32_t mtu;
    weir_ns tolerance;        /* either way */
    double tolerance_percent; /* of the time since the event before, where that is more */
    bool joins_segments;      /* consecutive full segments count as one (Linux's TSO): not --strict_segments */
};

void wdr_settings_init(struct wdr_settings *);

/* Take one. false: error says why it can't be. Addresses are checked against the version by wdr_settings_finish. */
bool wdr_settings_take(struct wdr_settings *, const struct wdr_setting *, struct wdr_error *);

/* The addresses that were not given: packetdrill's. */
bool wdr_settings_finish(struct wdr_settings *, struct wdr_error *);

/* Whether packets are IPv6's on the wire, and the family of sockets. */
bool wdr_settings_is_v6(const struct wdr_settings *);
int wdr_settings_family(const struct wdr_settings *);

#endif
