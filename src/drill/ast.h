/*
 * A script in memory: its options, and its events in order. Everything hangs in the script's arena and lives as long.
 */
#ifndef WDR_AST_H
#define WDR_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WDR_ERROR_CAP 512
#define WDR_OPTS_MAX  24 /* 40 bytes of options, most of them of one byte */
#define WDR_SACKS_MAX 4

/* What is wrong with a script, and where. */
struct wdr_error {
    int line, column; /* from 1; 0: no place */
    char text[WDR_ERROR_CAP];
};

/* ---- Time ---- */

enum wdr_time_kind {
    WDR_TIME_NONE,     /* none was written: as soon as it can be */
    WDR_TIME_ABSOLUTE, /* from the script's beginning */
    WDR_TIME_RELATIVE, /* from the event before */
    WDR_TIME_ANY,      /* "*" */
};

struct wdr_time {
    enum wdr_time_kind kind;
    bool is_range;     /* "a~b" */
    bool has_end;      /* "a...b": a blocking call, which returns at b */
    int64_t at, until; /* nanoseconds; `until` where is_range or has_end, of the same kind as `at` */
};

/* ---- Packets ---- */

enum wdr_dir { WDR_IN, WDR_OUT };
enum wdr_proto { WDR_TCP, WDR_UDP, WDR_ICMP };

enum wdr_tcp_flag {
    WDR_FIN = 1 << 0,
    WDR_SYN = 1 << 1,
    WDR_RST = 1 << 2,
    WDR_PSH = 1 << 3,
    WDR_ACK = 1 << 4,
    WDR_URG = 1 << 5,
    WDR_ECE = 1 << 6,
    WDR_CWR = 1 << 7,
    WDR_AE = 1 << 8, /* RFC 9768 */
};

enum wdr_opt_kind {
    WDR_OPT_EOL = 0,
    WDR_OPT_NOP = 1,
    WDR_OPT_MSS = 2,
    WDR_OPT_WSCALE = 3,
    WDR_OPT_SACK_OK = 4,
    WDR_OPT_SACK = 5,
    WDR_OPT_TS = 8,
    WDR_OPT_MD5 = 19,
    WDR_OPT_FO = 34,
    WDR_OPT_ACCECN0 = 172,
    WDR_OPT_ACCECN1 = 174,
    WDR_OPT_EXP = 254, /* Fast Open's experimental form: RFC 7413 4.1.1, magic 0xf989 */
};

#define WDR_FO_MAGIC 0xf989u

/* A TCP option, numbers as the script has them (relative) or as the wire has them: whoever holds it knows. */
struct wdr_opt {
    uint8_t kind;
    uint8_t len; /* on the wire, kind and length included */
    uint8_t sack_n;
    uint32_t a, b; /* mss; wscale; TS val and ecr */
    struct {
        uint32_t lo, hi;
    } sack[WDR_SACKS_MAX];
    bool is_raw;      /* written byte by byte, sense or not: body holds `len` bytes */
    uint8_t body[40]; /* of the others, len - 2 bytes */
};

/* The two ECN bits: which values will do. */
enum wdr_ecn {
    WDR_ECN_ANY, /* not written: out, whatever; in, 0 */
    WDR_ECN_NONE,
    WDR_ECN_ECT0,
    WDR_ECN_ECT1,
    WDR_ECN_ECT01, /* either ECT */
    WDR_ECN_CE,
};

/* What an ICMP message quotes: the packet that it is about. */
struct wdr_quote {
    bool is_there, is_udp, has_ack, has_flags;
    uint16_t flags;
    uint32_t seq, len, ack;
};

struct wdr_packet {
    enum wdr_dir dir;
    enum wdr_proto proto;

    bool has_tos, has_ttl, has_flowlabel, has_ports;
    uint8_t tos, ttl;
    enum wdr_ecn ecn;
    uint32_t flowlabel;
    uint16_t src_port, dst_port;

    /* TCP */
    uint16_t flags;
    bool has_ack, has_win, has_urg;
    bool opts_any; /* "<...>": not compared */
    uint32_t seq, ack;
    uint32_t len; /* payload, of UDP too */
    uint16_t win, urg;
    unsigned opt_n;
    struct wdr_opt opts[WDR_OPTS_MAX];

    /* ICMP, of the run's IP version */
    const char *icmp_type, *icmp_code; /* names (icmp_names.h); code NULL: 0 */
    bool has_mtu;
    uint32_t mtu;
    struct wdr_quote quote;
};

/* ---- System calls ---- */

enum wdr_expr_kind {
    WDR_EXPR_ELLIPSIS, /* "..." */
    WDR_EXPR_INT,
    WDR_EXPR_STRING,
    WDR_EXPR_WORD,   /* a constant's name */
    WDR_EXPR_OR,     /* a|b */
    WDR_EXPR_INVERT, /* ~a */
    WDR_EXPR_LIST,   /* [a, b] */
    WDR_EXPR_STRUCT, /* {name=a, b} */
    WDR_EXPR_CALL,   /* htons(a) */
};

struct wdr_expr {
    enum wdr_expr_kind kind;
    int line;
    int64_t number;
    const char *text; /* WORD, STRING, CALL's name; a STRING may hold NULs */
    size_t text_len;
    const char *field;      /* as a struct's member: its name, NULL when none was written */
    struct wdr_expr *first; /* operands, elements, members, arguments */
    struct wdr_expr *next;  /* its neighbour to the right */
};

struct wdr_call {
    const char *name;
    struct wdr_expr *args; /* a list by ->next */
    unsigned arg_n;
    struct wdr_expr *result; /* NULL: not written; ELLIPSIS: not compared */
    const char *errno_name;  /* NULL: no error is expected */
};

/* ---- Events ---- */

enum wdr_event_type { WDR_EVENT_PACKET, WDR_EVENT_CALL, WDR_EVENT_COMMAND, WDR_EVENT_CODE };

struct wdr_event {
    enum wdr_event_type type;
    int line;
    struct wdr_time time;
    size_t begin, end;         /* its text in the file, time included */
    size_t body;               /* where what follows the time begins */
    size_t result_at;          /* of a call: where its result begins, 0 when it has none */
    struct wdr_packet *packet; /* PACKET */
    struct wdr_call *call;     /* CALL */
    const char *text;          /* COMMAND: the shell's words; CODE: what stands between %{ and }% */
    struct wdr_event *next;
};

/* "--name=value" of the script or the command line. */
struct wdr_setting {
    const char *name, *value;
    int line; /* 0: of the command line */
    struct wdr_setting *next;
};

/* -D NAME=VALUE: such a word is read as its value. */
struct wdr_define {
    const char *name, *value;
    const struct wdr_define *next;
};

struct wdr_script {
    const char *path;
    const char *source; /* the file, and a NUL */
    size_t source_len;
    struct wdr_setting *settings; /* in order */
    struct wdr_event *events;
    struct wdr_arena *arena;
};

#endif
