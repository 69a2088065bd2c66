/*
 * Named links (link_spec.h). Where a source gives a round trip, each direction's delay is half of it.
 */
#include "io/link_spec.h"

#include "io/spec_text.h"
#include "io/units.h"

#include <stdio.h>
#include <string.h>

#define WPT "WebPageTest's connectivity table"

static const struct wio_link_profile profiles[] = {
    {"3g", "down.rate=1600kbit up.rate=768kbit delay=150ms", "a 3G phone: \"3G\" of " WPT ", 300 ms round trip"},
    {"3g-slow", "rate=400kbit delay=200ms", "a 3G phone, badly placed: \"3G Slow\" of " WPT ", 400 ms round trip"},
    {"4g", "rate=9mbit delay=85ms", "a 4G phone: \"4G\" of " WPT ", 170 ms round trip"},
    {"bad-wifi", "rate=5mbit delay=10ms jitter=15ms dist=normal loss=4% burst=3 queue=64k",
     "the far end of the garden: weir's own choice, not a measurement: few bits, wide jitter, losses in runs"},
    {"broadband", "down.rate=100mbit up.rate=20mbit delay=10ms queue=512k",
     "a fixed line: the FCC's definition of broadband (FCC 24-27, 2024) for its rates; 20 ms round trip is weir's "
     "choice"},
    {"cable", "down.rate=5mbit up.rate=1mbit delay=14ms",
     "an older cable modem: \"Cable\" of " WPT ", 28 ms round trip"},
    {"datacenter", "rate=10gbit delay=50us queue=256k",
     "two machines of one hall: 10 Gbit/s through switches with shallow buffers, weir's choice of numbers"},
    {"dialup", "down.rate=49kbit up.rate=30kbit delay=60ms",
     "a modem of the 1990s: \"Dial\" of " WPT ", 120 ms round trip"},
    {"dsl", "down.rate=1500kbit up.rate=384kbit delay=25ms", "an early DSL line: \"DSL\" of " WPT ", 50 ms round trip"},
    {"edge", "down.rate=240kbit up.rate=200kbit delay=420ms", "a 2.5G phone: \"Edge\" of " WPT ", 840 ms round trip"},
    {"fiber", "down.rate=20mbit up.rate=5mbit delay=2ms", "an early fibre line: \"FIOS\" of " WPT ", 4 ms round trip"},
    {"leo", "down.rate=100mbit up.rate=10mbit delay=20ms jitter=5ms dist=normal loss=0.5%",
     "a low-orbit satellite: weir's choice within what Starlink states for its service (25-60 ms, 5-20 Mbit/s up)"},
    {"lte", "rate=12mbit delay=35ms", "an LTE phone: \"LTE\" of " WPT ", 70 ms round trip"},
    {"satellite", "down.rate=25mbit up.rate=3mbit delay=280ms loss=0.1%",
     "a geostationary satellite: RFC 2488 section 2 (239.6-279 ms up and down again); rates and loss are weir's "
     "choice"},
};
#define PROFILE_N (sizeof profiles / sizeof profiles[0])

const struct wio_link_profile *wio_link_profile_at(unsigned i)
{
    return i < PROFILE_N ? &profiles[i] : NULL;
}

int wio_link_profile_parse(struct wio_link_config *cfg, const char *name, char *err, size_t err_cap)
{
    const char *names[PROFILE_N];
    char list[256];
    for (size_t i = 0; i < PROFILE_N; i++) {
        if (strcmp(profiles[i].name, name) == 0)
            return wio_link_spec_parse(cfg, profiles[i].spec, err, err_cap);
        names[i] = profiles[i].name;
    }
    const char *near = wio_nearest(names, PROFILE_N, name, strlen(name));
    snprintf(err, err_cap, "\"%.*s\": no such profile; %s%s%sthere are %s", wio_shown(strlen(name)), name,
             near ? "did you mean \"" : "", near ? near : "", near ? "\"? " : "",
             wio_join(names, PROFILE_N, list, sizeof list));
    return -WEIR_EINVAL;
}
