/* Names and texts of the public enums, each from the list that made the enum. */
#include <weir/errno.h>
#include <weir/event.h>

#define WORDS(name, text) text,
#define NAMES(name, text) #name,

const char *weir_errno_name(int err)
{
    switch (err < 0 ? -err : err) {
#define CASE(name, number, text)                                                                                       \
    case number: return #name;
        WEIR_ERRNO_LIST(CASE)
#undef CASE
    case 0: return "OK";
    default: return "E?";
    }
}

const char *weir_strerror(int err)
{
    switch (err < 0 ? -err : err) {
#define CASE(name, number, text)                                                                                       \
    case number: return text;
        WEIR_ERRNO_LIST(CASE)
#undef CASE
    case 0: return "no error";
    default: return "unknown error";
    }
}

const char *weir_tcp_state_name(enum weir_tcp_state state)
{
    static const char *const names[] = {WEIR_TCP_STATE_LIST(WORDS)};

    return (unsigned)state < WEIR_TCP_STATE_N ? names[state] : "?";
}

const char *weir_why_text(enum weir_why why)
{
    static const char *const texts[] = {WEIR_WHY_LIST(WORDS)};

    return (unsigned)why < WEIR_WHY_N ? texts[why] : "?";
}

const char *weir_drop_name(enum weir_drop drop)
{
    static const char *const names[] = {WEIR_DROP_LIST(NAMES)};

    return (unsigned)drop < WEIR_DROP_N ? names[drop] : "?";
}

const char *weir_drop_text(enum weir_drop drop)
{
    static const char *const texts[] = {WEIR_DROP_LIST(WORDS)};

    return (unsigned)drop < WEIR_DROP_N ? texts[drop] : "?";
}

const char *weir_timer_text(enum weir_timer timer)
{
    static const char *const texts[] = {WEIR_TIMER_LIST(WORDS)};

    return (unsigned)timer < WEIR_TIMER_N ? texts[timer] : "?";
}

const char *weir_cause_text(enum weir_cause cause)
{
    static const char *const texts[] = {WEIR_CAUSE_LIST(WORDS)};

    return (unsigned)cause < WEIR_CAUSE_N ? texts[cause] : "?";
}
