/*
 * A scenario of the lab: a YAML file of hosts, links, programs, a timeline and claims (docs/lab/language.md has the
 * language).
 */
#ifndef WLB_SCENARIO_H
#define WLB_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a person may change: an option of the command line, and a name in every expression of the file. */
struct wlb_option {
    char *name, *value, *about;
};

struct wlb_host {
    char *name;
    char *is_switch; /* "true": what is sent to all or to a group goes on over its other links; NULL: not */
    char *is_router; /* "true": no stack, it sends on what it gets; NULL: not */
    char *icmp;      /* of a router: "off": it tells nobody of what it drops; NULL: it does */
    char *syn_proxy; /* of a router: the host behind it for which it answers SYNs; NULL: for none */
    char **sysctl;   /* "tcp_sack=0" */
    unsigned sysctl_n;
};

struct wlb_link {
    char *from, *to; /* hosts */
    char *link;      /* docs/link.md; may be NULL: a clean one */
    char *type;      /* "ip" or "ethernet"; NULL: ip */
    char *mtu;
};

struct wlb_program {
    char *host, *name;
    char *start;         /* when; NULL: at once */
    char *count, *every; /* so many of it, one after the other so far apart */
    char *after;         /* "HOST PORT": not before that host listens there; NULL: at once */
    char *serves;        /* "true": a run in real time does not wait for its end; NULL: it does */
    char **steps;        /* either these */
    unsigned step_n;
    char **command; /* or a real program and its arguments: the scenario is played in real time */
    unsigned command_n;
};

struct wlb_action {
    char *at, *act;
};

struct wlb_claim {
    char *say, *check;
};

/* Of a plot a line, of a stream a row: values of events, or points that are told. */
struct wlb_series {
    char *name;
    char *value, *when; /* expressions over an event */
    char *style;        /* of a plot: "line" (NULL), "steps" or "dots" */
    char **points;      /* of a plot, in place of the two: "x, y" */
    unsigned point_n;
};

struct wlb_picture {
    char *kind;   /* "diagram", "plot" ... */
    char *title;  /* NULL: none */
    char **hosts; /* whom it shows; none: those of the first link and who is linked with them */
    unsigned host_n;
    char *from, *to; /* times; NULL: the whole run */
    char *arrows;    /* of a diagram: how many plain segments it draws */
    char *packets;   /* of a diagram: which packets it tells of, an expression over them; NULL: all */
    char *across;    /* of a plot of points: what x is; NULL: the time */
    char *unit;      /* of a plot: what y is */
    char *log;       /* of a plot: "yes": both axes by powers of ten */
    struct wlb_series *series;
    unsigned series_n;
};

struct wlb_scenario {
    char *title, *chapter, *about;
    struct wlb_option *options;
    unsigned option_n;
    struct wlb_host *hosts;
    unsigned host_n;
    struct wlb_link *links;
    unsigned link_n;
    struct wlb_program *programs;
    unsigned program_n;
    struct wlb_action *timeline;
    unsigned action_n;
    struct wlb_claim *claims;
    unsigned claim_n;
    char *until;   /* when the run ends at the latest */
    char *arrows;  /* how many segments are drawn one by one */
    char *dissect; /* which packets on the links are shown byte by byte: an expression over events; NULL: none */
    char *record;  /* which events are kept for the claims: an expression over them; NULL: all */
    char *states;  /* "yes": the state diagram, with what was visited */
    struct wlb_picture *pictures;
    unsigned picture_n; /* 0: what fits the scenario */
    /* Of its page alone, in Markdown: */
    char *see;      /* the picture, step by step */
    char *practice; /* where one meets it */
    char **next;    /* scenarios to go on with */
    unsigned next_n;
    char **rfc; /* "9293 3.6.1": where it is written */
    unsigned rfc_n;
    char *place; /* its place in its chapter, from 1; NULL: behind those that have one */
};

/*
 * Read one. `name` is for messages: "FILE: line 3: ...". NULL: err says what is wrong, where, and what was expected.
 * The result is wlb_scenario_free's.
 */
struct wlb_scenario *wlb_scenario_read(const char *name, const char *text, size_t len, char *err, size_t err_cap);
void wlb_scenario_free(struct wlb_scenario *);

/* The scenarios that are built in: the i-th, NULL past the last. */
struct wlb_builtin {
    const char *name; /* "handshake" */
    const char *text;
    size_t len;
};
const struct wlb_builtin *wlb_builtin_at(unsigned i);
const struct wlb_builtin *wlb_builtin_find(const char *name);

#endif
