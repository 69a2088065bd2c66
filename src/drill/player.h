/*
 * The state of a script that is being played: shared by play.c (events), expect.c (packets that the stack sends),
 * update.c and run.c.
 */
#ifndef WDR_PLAYER_H
#define WDR_PLAYER_H

#include "drill/call.h"
#include "drill/code.h"
#include "drill/command.h"
#include "drill/flow.h"
#include "drill/print.h"
#include "drill/run.h"
#include "drill/settings.h"
#include "drill/target.h"
#include "io/pcapng.h"

#define WDR_HISTORY_MAX 8

/* A piece of the script that --update replaces. */
struct wdr_edit {
    size_t begin, end;
    char *text;
};

struct wdr_player {
    const struct wdr_script *script;
    const struct wdr_run_config *cfg;
    struct wdr_settings set;
    struct wdr_target *target;
    struct wdr_call_env env;
    struct wdr_code *code;
    FILE *out;
    struct wdr_error error;

    weir_ns zero; /* the script's time 0 */
    weir_ns last; /* of the event before: what "+" counts from */

    struct wdr_flow *flows, *flow; /* all; the one that packets without ports belong to */
    uint16_t next_port;            /* of a peer that connects */
    int info_fd;                   /* the socket that tcpi_* tell of; -1: none yet */

    struct wdr_running running; /* a call that has not returned */
    bool has_running;
    weir_ns running_begin, running_end; /* when it was called, when it should return */

    uint8_t buf[WDR_PACKET_MAX];
    struct wdr_sent stash; /* a packet that was looked at and not used */
    bool has_stash;

    char history[WDR_HISTORY_MAX][WDR_PACKET_TEXT_CAP + 32]; /* the latest packets, a ring */
    unsigned history_n;

    struct wio_pcapng *pcap;
    struct weir_pool *pool; /* of pcap's packets */
    struct wtr_json *json;

    struct wdr_edit *edits;
    unsigned edit_n;
};

/* Note what is wrong with an event, first come first kept. Always false. */
bool wdr_player_fail(struct wdr_player *, const struct wdr_event *, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* How far from its time something may be that should happen `since` after the event before. */
weir_ns wdr_player_tolerance(const struct wdr_player *, weir_ns at, weir_ns since);

/* A moment as the script counts. */
const char *wdr_player_when(const struct wdr_player *, weir_ns at, char *buf, size_t cap);

void wdr_player_note(struct wdr_player *, weir_ns at, const struct wdr_packet *, const char *remark);
void wdr_player_capture(struct wdr_player *, weir_ns at, const uint8_t *data, size_t len, enum wio_pcapng_dir,
                        int line);

bool wdr_play(struct wdr_player *); /* all events; false: error says why not */

/* Hold what the stack sends next against the event's packet; `at` to `until` is its time. */
bool wdr_expect(struct wdr_player *, const struct wdr_event *, weir_ns at, weir_ns until);

/* For --record: print a packet; print those that are sent up to `limit`. */
void wdr_record_packet(const struct wdr_player *, weir_ns at, const struct wdr_packet *);
void wdr_record_packets(struct wdr_player *, weir_ns limit);

/* The flow of a packet of the script; NULL: it failed. */
struct wdr_flow *wdr_flow_for_script(struct wdr_player *, const struct wdr_packet *);

/* For --update: replace that part of the script. Then write the file anew. */
void wdr_edit_add(struct wdr_player *, size_t begin, size_t end, const char *text);
bool wdr_edit_write(const struct wdr_player *);

#endif
