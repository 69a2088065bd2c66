/*
 * weir run, for the command line.
 */
#ifndef WIR_COMMAND_H
#define WIR_COMMAND_H

/* argv[0] is "run". The exit status; when a signal ended the program, the same signal ends the caller. */
int wir_run_main(int argc, char **argv);

#endif
