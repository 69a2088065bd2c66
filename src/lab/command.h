/* weir lab. */
#ifndef WLB_COMMAND_H
#define WLB_COMMAND_H

int wlb_lab_main(int argc, char **argv);

#endif
