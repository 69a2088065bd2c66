# shellcheck shell=bash
# What the scripts here share. $WEIR is the command; the current directory is empty and the script's own.
set -u
PATH=$PATH:/usr/sbin:/sbin

fail()
{
    echo "FAILED: $*"
    exit 1
}

# need PROGRAM...: skip the test, by name, where one isn't installed.
need()
{
    local p
    for p in "$@"; do
        command -v "$p" >/dev/null || {
            echo "skip: $p is not installed"
            exit 77
        }
    done
}

# run [OPTION...] -- PROGRAM...: under weir, without the lines at the end.
run()
{
    "$WEIR" run -q "$@"
}

# equal WHAT GOT WANTED
equal()
{
    [ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"
}

same()
{
    cmp "$1" "$2" || fail "$1 and $2 differ"
}

# blob FILE BYTES: that many random bytes.
blob()
{
    head -c "$2" /dev/urandom >"$1"
}

# until_true SECONDS COMMAND...: try until it succeeds.
until_true()
{
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || fail "never came true: $*"
        sleep 0.05
    done
}

# free_port [udp]: one that nobody has, on the host; below those that connections take by themselves, so that none does
# before it is used, and out of a range that no script beside this one looks in.
free_port()
{
    python3 - "${1:-tcp}" "${SLOT:-0}" <<'P'
import random, socket, sys
kind = socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM
low = 10000 + int(sys.argv[2]) % 11 * 2000
for port in random.sample(range(low, low + 2000), 200):
    with socket.socket(socket.AF_INET, kind) as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
        print(port)
        break
P
}

# listens PORT [udp]: somebody on the host has that port.
listens()
{
    awk -v port=":$(printf %04X "$1")\$" -v state="$([ "${2:-tcp}" = udp ] || echo 0A)" \
        '$2 ~ port && (state == "" || $4 == state) { found = 1 } END { exit !found }' "/proc/net/${2:-tcp}"
}

# serve DIRECTORY [ADDRESS]: the host serves its files; sets $port and $server.
# shellcheck disable=SC2034 # the scripts that source this use them
serve()
{
    need python3
    python3 -u -m http.server 0 --bind "${2:-127.0.0.1}" --directory "$1" >server.log 2>&1 &
    server=$!
    until_true 10 grep -q ' port ' server.log
    port=$(sed -nE 's/.* port ([0-9]+) .*/\1/p' server.log)
}
