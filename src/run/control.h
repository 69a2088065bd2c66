/*
 * The control socket of a running weir run: whoever the user lets look (weir ss, weir top) asks in lines of JSON, and
 * is answered in such lines. docs/ss.md has the protocol.
 */
#ifndef WIR_CONTROL_H
#define WIR_CONTROL_H

struct wir_run;
struct wir_control;

/*
 * Listen, where the options say. 0, or -errno after one line on stderr, if the place was named by the user; a default
 * place that can't be had is only told of. Costs nothing until somebody connects.
 */
int wir_control_start(struct wir_run *);

/* Whoever listens still is let go, and the socket's name removed. Fine when it was not started. */
void wir_control_stop(struct wir_run *);

#endif
