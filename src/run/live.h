/*
 * weir run --live: the report as a page that goes on while the program runs, served on 127.0.0.1.
 */
#ifndef WIR_LIVE_H
#define WIR_LIVE_H

struct wir_run;
struct wir_live;

/* Listen, and say on stderr where. 0, or -errno after one line on stderr. Nothing to do without --live. */
int wir_live_start(struct wir_run *);

/* Tell whoever looks how the program ended, with what happened last, and stop: within a second. */
void wir_live_stop(struct wir_run *);

#endif
