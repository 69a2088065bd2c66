/* The head of a request. Names of fields are of any case; what is not known is passed over. */
#include "run/http.h"

#include <string.h>
#include <strings.h>

/* Copy a piece; false: it does not fit, or has bytes that have no business there. */
static bool copy(char *out, size_t cap, const char *from, size_t len)
{
    if (len >= cap)
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)from[i] <= 0x20 || (unsigned char)from[i] > 0x7e)
            return false;
    }
    memcpy(out, from, len);
    out[len] = '\0';
    return true;
}

/* GET /path HTTP/1.1 */
static bool read_request_line(const char *line, size_t len, struct wir_http_request *out)
{
    const char *space = memchr(line, ' ', len), *second = NULL;
    if (space)
        second = memchr(space + 1, ' ', len - (size_t)(space + 1 - line));
    if (!second || len - (size_t)(second - line) != 9 || memcmp(second, " HTTP/1.", 8) != 0)
        return false;
    return copy(out->method, sizeof out->method, line, (size_t)(space - line)) &&
           copy(out->path, sizeof out->path, space + 1, (size_t)(second - space - 1)) && *out->path == '/';
}

static bool read_field(const char *line, size_t len, struct wir_http_request *out)
{
    const struct {
        const char *name;
        char *to;
        size_t cap;
    } fields[] = {
        {"Host", out->host, sizeof out->host},
        {"Last-Event-ID", out->last_event_id, sizeof out->last_event_id},
        {"Origin", out->origin, sizeof out->origin},
        {"Sec-Fetch-Site", out->fetch_site, sizeof out->fetch_site},
    };
    const char *colon = memchr(line, ':', len);
    if (!colon || colon == line)
        return false;
    size_t name_len = (size_t)(colon - line);
    const char *value = colon + 1, *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strlen(fields[i].name) != name_len || strncasecmp(line, fields[i].name, name_len) != 0)
            continue;
        return !fields[i].to[0] && copy(fields[i].to, fields[i].cap, value, (size_t)(end - value)); /* once */
    }
    return true;
}

int wir_http_parse(const char *bytes, size_t len, struct wir_http_request *out)
{
    const char *end = memmem(bytes, len, "\r\n\r\n", 4), *line = bytes;
    bool is_first = true;
    if (!end)
        return len >= WIR_HTTP_HEAD_MAX ? -1 : 0;
    memset(out, 0, sizeof *out);
    while (line <= end) {
        const char *next = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        size_t n = (size_t)(next - line);
        if (!(is_first ? read_request_line(line, n, out) : read_field(line, n, out)))
            return -1;
        is_first = false;
        line = next + 2;
    }
    return 1;
}

bool wir_http_same_secret(const char *a, const char *b)
{
    size_t n = strlen(a);
    unsigned char differs = 0;
    if (n != strlen(b))
        return false;
    for (size_t i = 0; i < n; i++)
        differs |= (unsigned char)(a[i] ^ b[i]);
    return differs == 0;
}
