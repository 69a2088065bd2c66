/*
 * The subcommand, for the table of src/cli.
 */
#ifndef WDR_COMMAND_LINE_H
#define WDR_COMMAND_LINE_H

/* weir drill: 0 all passed, 1 one failed, 2 a script or the command line is no good. */
int wdr_drill_main(int argc, char **argv);

#endif
