/* The files of a report: whatever a trace, a pcapng or a pcap holds, it is read or refused with a reason, and what was
 * read makes a page. */
#include "fuzz.h"

#include "trace/report_read.h"
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    FILE *in = fmemopen((void *)(uintptr_t)data, size, "r"), *out = fopen("/dev/null", "w");
    struct wtr_report *r = wtr_report_new(&(struct wtr_report_config){.title = "fuzz", .rows_max = 1000});
    struct wtr_read read = {0};
    FUZZ_ASSERT(in && out && r);
    enum wtr_format format = wtr_read_format(in);
    int got = 0;
    if (format == WTR_FORMAT_TRACE)
        got = wtr_read_trace(r, in, &read);
    else if (format == WTR_FORMAT_PCAP || format == WTR_FORMAT_PCAPNG)
        got = wtr_read_capture(r, in, format, &read);
    FUZZ_ASSERT(got == 0 ? !read.err[0] : read.err[0] != 0);
    FUZZ_ASSERT(wtr_report_write(r, out) == 0);
    wtr_report_free(r);
    fclose(in);
    fclose(out);
    return 0;
}
