/*
 * The table of subcommands, and what somebody may have meant by a word that is none.
 */
#include <string.h>

#include "cli/commands.h"
#include "cli/report.h"
#include "cli/rfc.h"
#include "doctor/command.h"
#include "drill/command_line.h"
#include "io/units.h"
#include "lab/command.h"
#include "perf/command.h"
#include "run/command.h"
#include "ss/command.h"
#include "trial/command.h"

const struct wcl_command wcl_commands[] = {
    {"doctor", "say what went wrong with the connections of a capture, and why", wdc_doctor_main},
    {"drill", "play TCP tests in packetdrill's language, in virtual time", wdr_drill_main},
    {"iperf", "measure how fast TCP goes; the other end may be iperf3", wpf_iperf_main},
    {"lab", "play any textbook situation of TCP, see it, and have its claims checked", wlb_lab_main},
    {"report", "make a page to look at of a trace or a capture", wcl_report_main},
    {"rfc", "print what the RFCs ask, and the test that proves it", wcl_rfc_main},
    {"rr", "measure requests and responses a second, and how long each takes", wpf_rr_main},
    {"run", "run a program with weir as its TCP/IP, over any link", wir_run_main},
    {"sim", "simulate transfers over any link, by the thousand, each from a seed", wtl_sim_main},
    {"ss", "list the sockets of running weir runs, as ss lists the kernel's", wss_ss_main},
    {"top", "keep the connections of running weir runs on the screen, the busiest first", wss_top_main},
};
const size_t wcl_commands_n = sizeof wcl_commands / sizeof wcl_commands[0];

const char *wcl_nearest(const char *word)
{
    const char *names[sizeof wcl_commands / sizeof wcl_commands[0]];
    for (size_t i = 0; i < wcl_commands_n; i++)
        names[i] = wcl_commands[i].name;
    return wio_nearest(names, wcl_commands_n, word, strlen(word));
}
