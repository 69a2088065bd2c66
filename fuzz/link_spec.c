/*
 * A link in words, and a rule of its script: what is read, written out and read again is the same link; what is refused
 * leaves the configuration alone and says why.
 */
#include "io/link_spec.h"
#include "fuzz.h"

#include <string.h>

#define TEXT_CAP 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct wio_link_config cfg, again; /* some KiB of rules */
    char text[512], once[TEXT_CAP], twice[TEXT_CAP], err[256] = "";
    struct fuzz_in in = {data, n};
    bool is_rule = fuzz_u8(&in) & 1;
    if (in.n >= sizeof text)
        return 0;
    memcpy(text, in.p, in.n);
    text[in.n] = '\0';
    if (strstr(text, "script")) /* would read a file */
        return 0;

    memset(&cfg, 0, sizeof cfg);
    int got =
        is_rule ? wio_link_rule_parse(&cfg, text, err, sizeof err) : wio_link_spec_parse(&cfg, text, err, sizeof err);
    if (got < 0) {
        memset(&again, 0, sizeof again);
        FUZZ_ASSERT(err[0] != '\0' && memchr(err, '\0', sizeof err) && memcmp(&cfg, &again, sizeof cfg) == 0);
        return 0;
    }
    if (is_rule)
        return 0;
    wio_link_spec_format(&cfg, once, sizeof once);
    memset(&again, 0, sizeof again);
    if (strcmp(once, "clean") != 0)
        FUZZ_ASSERT(wio_link_spec_parse(&again, once, err, sizeof err) == 0);
    wio_link_spec_format(&again, twice, sizeof twice);
    FUZZ_ASSERT(strcmp(once, twice) == 0);
    return 0;
}
