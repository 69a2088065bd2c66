#!/usr/bin/env bash
# weir against the kernel's TCP over devices, and its UDP over AF_XDP beside AF_XDP alone; in namespaces of its own, as root.
#
#   bench/wire.sh [ROUNDS] [SECONDS]      5 rounds of 2 seconds each unless it is said
#
# One stream, MTU 1500, CUBIC at both ends, every byte compared at both. For each device: medians over the rounds of Gbit/s,
# of seconds of CPU per 10^9 bytes at weir's end (its user, its system) and at the kernel's, and the range of the Gbit/s.
# Then 64-byte datagrams: weir's UDP beside a program that has only AF_XDP, each after the other in every round, and the medians
# of millions a second, of millions a second of CPU, and of the ratios. The other end of the veth is AF_XDP alone.
set -u
rounds=${1:-5} seconds=${2:-2}
here=$(cd "$(dirname "$0")/.." && pwd)
bin=$here/build/bench
PATH=$PATH:/usr/sbin:/sbin
[ "$(id -u)" = 0 ] || {
    echo "bench/wire.sh: needs root, for namespaces and devices" >&2
    exit 1
}
if [ -z "${WIRE_INSIDE:-}" ]; then
    ninja -C "$here/build" bench/bench-wire >/dev/null || exit 1
    ninja -C "$here/build" bench/bench-xdp-raw >/dev/null 2>&1 || echo "without AF_XDP: libxdp-dev was not there at the build"
    WIRE_INSIDE=1 exec unshare -n "$0" "$@"
fi

dir=$(mktemp -d)
ip link set lo up
unshare -n sleep 100000 &
far=$!
trap 'kill $far; rm -rf "$dir"' EXIT
until [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
far_ip() { nsenter -t $far -n ip "$@"; }
ip tuntap add dev weir0 mode tap
ip addr add 10.9.0.1/24 dev weir0
ip link set weir0 up
ip link add vw0 type veth peer name vk0 netns $far
ip link set vw0 address 02:00:00:00:09:02 up
far_ip link set vk0 address 02:00:00:00:00:01 up
far_ip addr add 10.9.0.1/24 dev vk0

# median FILE COLUMN
median() { awk -v c="$2" '{ print $c }' "$1" | sort -g | awk '{ v[NR] = $1 } END { printf "%s", v[int((NR + 1) / 2)] }'; }
range() { awk -v c="$2" '{ print $c }' "$1" | sort -g | awk 'NR == 1 { lo = $1 } { hi = $1 } END { printf "%s-%s", lo, hi }'; }

# bulk NAME DRIVER [NETNS]: rows of one device
bulk()
{
    local way file
    for way in up down; do
        file=$dir/$1.$way
        : >"$file"
        for _ in $(seq "$rounds"); do
            timeout 60 "$bin/bench-wire" "$2" bulk $way "$seconds" ${3:+"$3"} | sed 's/ Gbit.*GB://' >>"$file"
        done
        printf '%-22s %-4s %6s Gbit/s   CPU s/GB: %s + %s, kernel %s   (%s)\n' "$1" $way "$(median "$file" 1)" \
            "$(median "$file" 2)" "$(median "$file" 3)" "$(median "$file" 4)" "$(range "$file" 1)"
    done
}

# datagrams in|out: rows of AF_XDP
datagrams()
{
    local way=$1 other=out raw weir peer
    [ "$way" = in ] || other=in
    : >"$dir/$way"
    for _ in $(seq "$rounds"); do
        for who in raw weir; do
            nsenter -t $far -n "$bin/bench-xdp-raw" vk0 $other "$(awk "BEGIN { print $seconds + 0.6 }")" >/dev/null &
            peer=$!
            sleep 0.3
            if [ $who = raw ]; then
                raw=$("$bin/bench-xdp-raw" vw0 "$way" "$seconds")
            else
                weir=$("$bin/bench-wire" xdp:vw0 udp "$way" "$seconds")
            fi
            wait $peer
        done
        echo "$raw $weir" | tr -d , | awk '{ print $1, $3, $7, $9, $7 / $1, $9 / $3 }' >>"$dir/$way"
    done
    printf 'AF_XDP, 64 bytes %-4s  raw %s Mpps (%s per CPU s)   weir %s (%s)   ratio %.2f (%.2f)\n' "$way" \
        "$(median "$dir/$way" 1)" "$(median "$dir/$way" 2)" "$(median "$dir/$way" 3)" "$(median "$dir/$way" 4)" \
        "$(median "$dir/$way" 5)" "$(median "$dir/$way" 6)"
}

bulk tap tap:weir0
bulk tap,offload=off tap:weir0,offload=off
bulk packet packet:vw0 /proc/$far/ns/net
bulk packet,mode=batch packet:vw0,mode=batch /proc/$far/ns/net
if [ -x "$bin/bench-xdp-raw" ]; then
    bulk xdp xdp:vw0 /proc/$far/ns/net
    datagrams in
    datagrams out
fi
