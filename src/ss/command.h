/*
 * The subcommands, for the table of src/cli.
 */
#ifndef WSS_COMMAND_H
#define WSS_COMMAND_H

/* weir ss, weir top: 0 done, 1 no run was found or one could not be asked, 2 the command line is no good. */
int wss_ss_main(int argc, char **argv);
int wss_top_main(int argc, char **argv);

#endif
