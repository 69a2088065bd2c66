/*
 * weir doctor: what was wrong with the connections of a capture.
 */
#ifndef WDC_COMMAND_H
#define WDC_COMMAND_H

/* 0; 1 when a file can't be read; 2 when the command line makes no sense. */
int wdc_doctor_main(int argc, char **argv);

#endif
