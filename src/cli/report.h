/*
 * weir report: a trace or a capture as a page to look at.
 */
#ifndef WCL_REPORT_H
#define WCL_REPORT_H

/* 0; 1 when the file can't be read or the page not written; 2 when the command line makes no sense. */
int wcl_report_main(int argc, char **argv);

#endif
