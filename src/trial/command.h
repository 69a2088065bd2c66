/*
 * The subcommand, for the table of src/cli.
 */
#ifndef WTL_COMMAND_H
#define WTL_COMMAND_H

/* weir sim: 0 all held, 1 something did not, 2 the command line is no good. */
int wtl_sim_main(int argc, char **argv);

#endif
