#!/usr/bin/env bash
# Requests and connections a second: weir over a TAP device and over AF_PACKET beside the kernel over veth; in namespaces of its
# own, as root.
#
#   bench/rr.sh [ROUNDS] [SECONDS]      5 rounds of 2 seconds each unless it is said
#
# The other end is the kernel, and both ends are weir rr: the same program throughout. 64 bytes each way, every byte checked.
# Each round measures all of them, one after the other. Medians over the rounds: transactions a second and their range, the
# ratio to the kernel's of the same round, latencies, and the time of a processor that the client's end takes for one.
set -u
rounds=${1:-5} seconds=${2:-2}
here=$(cd "$(dirname "$0")/.." && pwd)
weir=${WEIR:-$here/build/weir}
PATH=$PATH:/usr/sbin:/sbin
[ "$(id -u)" = 0 ] || {
    echo "bench/rr.sh: needs root, for namespaces and devices" >&2
    exit 1
}
[ -n "${RR_INSIDE:-}" ] || RR_INSIDE=1 exec unshare -n "$0" "$@"

dir=$(mktemp -d)
ip link set lo up
unshare -n sleep 100000 &
far=$!
servers=
trap 'kill $servers $far; rm -rf "$dir"' EXIT
until [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip tuntap add dev weir0 mode tap
ip addr add 10.9.0.1/16 dev weir0
ip link set weir0 up
ip link add vw0 type veth peer name vk0 netns $far
ip addr add 10.8.0.2/16 dev vw0
ip link set vw0 up
nsenter -t $far -n ip addr add 10.8.0.1/16 dev vk0
nsenter -t $far -n ip link set vk0 up
for where in '' "nsenter -t $far -n"; do
    $where "$weir" rr -s --kernel >"$dir/served" &
    servers+=" $!"
    until grep -q serving "$dir/served"; do sleep 0.05; done
done

# measure NAME TEST OPTION...: a line of figures to NAME.TEST
measure()
{
    local name=$1 test=$2
    shift 2
    # shellcheck disable=SC2086 # the test is words
    timeout 60 "$weir" rr -J -t "$seconds" "$@" $test | python3 -c '
import json, sys
r = json.load(sys.stdin)
us = r["latency_us"]
print(r["transactions_per_second"], us["p50"], us["p99"], us["p99.9"], r["cpu"]["us_per_transaction"])' >>"$dir/$name.$test"
}

report()
{
    python3 - "$dir" "$1" <<'P'
import statistics, sys

def rows(name):
    with open(f"{sys.argv[1]}/{name}.{sys.argv[2]}") as f:
        return [[float(w) for w in line.split()] for line in f]

kernel = rows("kernel")
for name in ("kernel", "tap", "packet"):
    r = rows(name)
    median = [statistics.median(column) for column in zip(*r)]
    ratio = statistics.median(a[0] / b[0] for a, b in zip(r, kernel))
    low, high = min(a[0] for a in r), max(a[0] for a in r)
    test = "CRR" if "--crr" in sys.argv[2] else "RR"
    print(f"{test:4} {sys.argv[2].split()[-1]:>3}  {name:7} {median[0]:8.0f}/s ({low:.0f}-{high:.0f})  ratio {ratio:.2f}  "
          f"p50 {median[1]:.1f}  p99 {median[2]:.1f}  p99.9 {median[3]:.1f} us  CPU {median[4]:.2f} us")
P
}

# Each weir has an address of its own: as a host that was restarted it would meet its old connections in TIME-WAIT.
n=2
for test in '-P 1' '-P 32' '--crr -P 1' '--crr -P 16'; do
    for _ in $(seq "$rounds"); do
        n=$((n + 1))
        measure kernel "$test" -c 10.8.0.1 --kernel
        measure tap "$test" -c 10.9.0.1 --dev tap:weir0 --address 10.9.$((n / 250)).$((n % 250 + 2))/16
        measure packet "$test" -c 10.8.0.1 --dev packet:vw0,mac=02:00:00:00:08:03 --address 10.8.$((n / 250)).$((n % 250 + 2))/16
    done
    report "$test"
done
