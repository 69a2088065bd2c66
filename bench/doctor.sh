#!/usr/bin/env bash
# weir doctor beside tshark on the same captures: `tshark -q -z io,stat,0`, which counts packets and bytes after dissecting each.
#
#   bench/doctor.sh [ROUNDS] [BYTES]      5 rounds, transfers of 300m bytes in all unless it is said
#
# Captures: one long transfer whole, the same cut to headers, and many short connections. Each round runs both, one after the
# other, on each capture, which the page cache holds. Medians over the rounds: packets a second of processor time (another
# program on the machine does not count), and peak memory.
set -u
rounds=${1:-5} bytes=${2:-300m}
here=$(cd "$(dirname "$0")/.." && pwd)
weir=${WEIR:-$here/build/weir}
for program in tshark editcap /usr/bin/time; do
    command -v "$program" >/dev/null || {
        echo "bench/doctor.sh: $program is not installed" >&2
        exit 1
    }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

"$weir" sim run --seed 1 --link 'rate=1gbit delay=5ms loss=0.1%' --bytes "$bytes" --pcap whole.pcapng >/dev/null || exit 1
editcap -s 128 whole.pcapng headers.pcapng 2>/dev/null
"$weir" lab readiness-cost --pcap short.pcapng >/dev/null

# run NAME COMMAND...: seconds of processor time and KiB of peak memory to NAME.
run()
{
    local name=$1
    shift
    /usr/bin/time -f '%U %S %M' -a -o "$name" "$@" >/dev/null 2>>"$name.err" || {
        echo "bench/doctor.sh: $* failed: $(tail -n 1 "$name.err")" >&2
        exit 1
    }
}

for ((i = 0; i < rounds; i++)); do
    for capture in whole headers short; do
        run "$capture.doctor" "$weir" doctor "$capture.pcapng"
        run "$capture.tshark" tshark -q -z io,stat,0 -r "$capture.pcapng"
    done
done
for capture in whole headers short; do
    "$weir" doctor --json "$capture.pcapng" | tail -n 1 >"$capture.counts"
done
python3 - <<'P'
import json, os, statistics

print("| capture | packets | MB | doctor, packets/s | tshark, packets/s | ratio | doctor, MiB | tshark, MiB |")
print("|---|---|---|---|---|---|---|---|")
for capture in ("whole", "headers", "short"):
    counts = json.load(open(capture + ".counts"))
    took, memory = {}, {}
    for name in ("doctor", "tshark"):
        rows = [[float(x) for x in line.split()] for line in open(capture + "." + name)]
        took[name] = statistics.median(max(r[0] + r[1], 0.01) for r in rows)
        memory[name] = statistics.median(r[2] for r in rows) / 1024
    n = counts["packets"]
    size = os.path.getsize(capture + ".pcapng") / 1e6
    print(f"| {capture}, {counts['connections']} connections | {n} | {size:.0f} | {n / took['doctor']:,.0f} | "
          f"{n / took['tshark']:,.0f} | {took['tshark'] / took['doctor']:.1f} | {memory['doctor']:.0f} | {memory['tshark']:.0f} |")
P
