/*
 * A scenario that is being played: what its parts share among themselves.
 */
#ifndef WLB_LAB_H
#define WLB_LAB_H

#include "lab/record.h"
#include "lab/scenario.h"
#include "lab/step.h"
#include "sim/world.h"

#include <stdio.h>

struct wtr_story;
struct wtr_json;
struct wtr_report;
struct wtr_capture;
struct wio_pcapng;
struct wlb_page;
struct wdc_live;

#define WLB_HOSTS_MAX 8
#define WLB_LINKS_MAX 8

struct wlb_proc;
struct wlb_act;
struct wlb_real;

/* A flow of segments on a link, one direction of it. */
struct wlb_wire_flow {
    struct weir_sockaddr src, dst;
    unsigned link; /* from 1; 0: the place is free */
    uint32_t iss, snd_max;
    bool is_known; /* its SYN was seen */
};

struct wlb_lab_link {
    struct wlb_lab *lab;
    unsigned index;
    struct wio_link *link;
    struct wio_link_config cfg; /* as it is now */
    struct wsim_host *ends[2];
};

/* A value that an option of the scenario has in this run. */
struct wlb_setting {
    const char *name;
    char *text;
    double number;
    bool is_number;
};

struct wlb_lab {
    const struct wlb_scenario *scenario;
    uint64_t seed;
    weir_ns zero; /* when the scenario began: times are told from here */
    bool is_recording;
    struct wsim_world *world;
    struct wsim_host *hosts[WLB_HOSTS_MAX];
    unsigned host_n;
    bool is_switch[WLB_HOSTS_MAX];
    struct wlb_lab_link links[WLB_LINKS_MAX];
    unsigned link_n;
    struct wlb_proc *procs;       /* all that ever ran */
    unsigned awaited_n;           /* those that still do, and are no servers */
    int live_n;                   /* connections that are neither closed nor in TIME-WAIT, both ends counted */
    struct wlb_real *real;        /* of a scenario in real time, else NULL */
    const struct wsim_host *here; /* from whose place host names are addresses now; NULL: nobody's */
    char addresses[WLB_HOSTS_MAX][WEIR_ADDR_TEXT_CAP];
    struct wlb_step **steps; /* by program */
    struct wlb_act *acts;
    struct wlb_setting *settings;
    unsigned setting_n;
    struct wlb_names names;
    struct wlb_record record;
    struct wlb_wire_flow *flows; /* a hash table */
    size_t flow_n, flow_cap;
    struct wtr_story *story;
    unsigned arrows; /* that are drawn one by one */
    struct wtr_json *json;
    struct wtr_report *report;
    struct wtr_capture *capture;
    struct wio_pcapng *pcap;
    struct wlb_page *page;
    struct wdc_live *doctor;
    char error[512]; /* what is wrong with the scenario, or with the world */
};

/* Note the first thing that is wrong. Returns false. */
bool wlb_fail(struct wlb_lab *, const char *form, ...) __attribute__((format(printf, 2, 3)));

/* Fill in a text of the scenario; NULL: wlb_fail has it. `where` names its place. */
char *wlb_fill(struct wlb_lab *, const char *where, const char *text);

/* The same, read as a time, and as a count; NULL text: `otherwise`. */
bool wlb_time_of(struct wlb_lab *, const char *where, const char *text, weir_ns otherwise, weir_ns *value);
bool wlb_count_of(struct wlb_lab *, const char *where, const char *text, uint64_t otherwise, uint64_t *value);

struct wsim_host *wlb_host_of(const struct wlb_lab *, const char *name); /* NULL: there is none */

/* Where `from` reaches `to`; from NULL: the first that it has. False: they share no link, and `to` has none. */
bool wlb_address_of(const struct wlb_lab *, const struct wsim_host *from, const struct wsim_host *to,
                    struct weir_addr *addr);

/* ---- watch.c: from events to the record ---- */

void wlb_on_event(void *ctx, struct wsim_host *, const struct weir_event *);
void wlb_on_note(void *ctx, const struct wio_link_note *); /* ctx: struct wlb_lab_link */
/* The entry, to be completed; NULL: no memory. */
struct wlb_entry *wlb_call_returned(struct wlb_lab *, const struct wsim_host *, const char *call, int64_t result,
                                    weir_ns began);

/* The number of the last SYN that went from `src` to `dst` on a link (from 1). False: there was none. */
bool wlb_first_seq(const struct wlb_lab *, unsigned link, const struct weir_sockaddr *src,
                   const struct weir_sockaddr *dst, uint32_t *iss);

/* ---- proc.c ---- */

/* Start the scenario's programs; they run as the world does. */
bool wlb_procs_start(struct wlb_lab *);
void wlb_procs_free(struct wlb_lab *);

/* A host listens on a port: who waited for that begins. */
void wlb_procs_on_listen(struct wlb_lab *, const struct wsim_host *, uint16_t port);

/* "server 80", of a program's `after`. False: wlb_fail has it. */
bool wlb_read_after(struct wlb_lab *, const struct wlb_program *, const struct wsim_host **, uint16_t *port);

/* ---- real.c: scenarios with real programs, in real time ---- */

bool wlb_is_real(const struct wlb_scenario *);
weir_ns wlb_real_clock(void); /* what a world of such a scenario goes by */

/* Whether all that it names is installed. False: wlb_fail has it. */
bool wlb_real_find(struct wlb_lab *);

/* Start the programs, and play until they have ended, at most for that long. False: wlb_fail has it. */
bool wlb_real_run(struct wlb_lab *, weir_ns until);
void wlb_real_on_listen(struct wlb_lab *, const struct wsim_host *, uint16_t port);
void wlb_real_print(const struct wlb_lab *, FILE *out); /* what the programs said */
void wlb_real_free(struct wlb_lab *);                   /* before the world */

/* ---- act.c ---- */

bool wlb_timeline_start(struct wlb_lab *);
void wlb_timeline_free(struct wlb_lab *);

/* ---- states.c ---- */

/* An edge of the state diagram, NULL: the figure has no such. The same text each time. */
const char *wlb_edge_name(const char *from, const char *to);

/* The diagram, with what the run visited in brackets, and how often it went along each edge. */
void wlb_states_print(const struct wlb_record *, FILE *out);

/* ---- columns.c ---- */

/* Whether a connection's packets (ends NULL: all) went by more than two hosts, or not by the first link, of which alone
 * the story tells. False also where there are none. */
bool wlb_columns_fit(const struct wlb_lab *, const struct weir_sockaddr *ends);

/* The diagram with a column for each of them. */
void wlb_columns_print(const struct wlb_lab *, const struct weir_sockaddr *ends, unsigned arrows, FILE *out,
                       bool is_tty);

/* ---- dissect.c ---- */

/* A packet that was put on a link, field by field. */
void wlb_dissect_print(const struct wlb_entry *, FILE *out);

/* ---- forge.c ---- */

struct wlb_forged {
    struct weir_addr src, dst; /* IPv4 */
    uint16_t src_port, dst_port, flags, win;
    uint32_t seq, ack;
    uint32_t len; /* payload */
};

/* Put a segment on the link as if `from`'s end had sent it. False: wlb_fail has it. */
bool wlb_forge(struct wlb_lab *, struct wlb_lab_link *, enum wio_side from, const struct wlb_forged *);

#endif
