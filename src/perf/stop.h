/*
 * SIGINT and SIGTERM ask a measurement to come to its end; SIGPIPE is nobody's wish.
 */
#ifndef WPF_STOP_H
#define WPF_STOP_H

#include <stdbool.h>

/* From here on the signals are noted. 0 or a negative errno. */
int wpf_stop_catch(void);

/* Back to what they did before. */
void wpf_stop_release(void);

/* As a signal would. */
void wpf_stop_ask(void);

bool wpf_stop_asked(void);
int wpf_stop_fd(void); /* readable once asked; -1 before wpf_stop_catch */

#endif
