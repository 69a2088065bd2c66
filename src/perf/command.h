/*
 * The subcommands, for the table of src/cli.
 */
#ifndef WPF_COMMAND_H
#define WPF_COMMAND_H

/* weir iperf, weir rr: 0 measured, 1 it failed, 2 the command line is no good. */
int wpf_iperf_main(int argc, char **argv);
int wpf_rr_main(int argc, char **argv);

#endif
