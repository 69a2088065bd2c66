#!/usr/bin/env python3
"""
Run every benchmark, weir and its peers in turn, and write bench/results.md and bench/plots/.

  bench/report.py [--quick] [--only PART]...     PART: rows, cores, latency, held, simulation, growth, programs

Needs build/bench/bench-stacks and the other programs (scripts/bench builds them), valgrind, and on the way 8 GiB for a
million connections; what cannot be run says why in its place. --quick: three runs instead of seven, less work in each,
nothing above 50,000 connections. --only leaves the rest of the page out: for trying things.
"""
import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import time

import plot

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
STACKS = "build/bench/bench-stacks"
GROWTH = "build/bench/bench-growth"
HELD = "build/bench/bench-held"
CALLGRIND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
# valgrind takes each byte of a `rep movsb` or `rep stosb` for an instruction: keep libc from them.
TUNABLES = "glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000"
COUNTING = dict(os.environ, GLIBC_TUNABLES=TUNABLES)
COUNTING_SHELL = (
    f"cg() {{ GLIBC_TUNABLES={TUNABLES} valgrind --tool=callgrind --callgrind-out-file=/dev/null "
    "--instr-atstart=no '--toggle-collect=bench_work*' \"$@\"; }"
)
TIMEOUT_S = 900
BYTES_A_CONNECTION = 6000  # both ends, and what this harness keeps: an upper bound, for the memory that a row may need


class Failed(Exception):
    """A program ended with an error: its last line."""


def run(command, env=None):
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as e:
        raise Failed(f"not done after {TIMEOUT_S} s") from e
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise Failed(re.sub("^bench-stacks: (lwip: |kernel: )?", "", lines[-1]))
    return done.stdout, done.stderr


def fields(text):
    """key=value between tabs."""
    return {k: float(v) for k, v in (f.split("=") for f in text.strip().split("\t") if "=" in f)}


def words(options):
    return options.split()


def stacks(stack, options):
    return [STACKS, "--stack", stack] + words(options)


def instructions(command, function, unit):
    """Instructions of `function` a unit."""
    out, err = run(CALLGRIND + ["--instr-atstart=" + ("no" if function == "bench_work*" else "yes"), "--toggle-collect=" + function] + command, COUNTING)
    found = re.search(r"Collected : (\d+)", err)
    if not found:
        raise Failed("callgrind told no count")
    return int(found.group(1)) / fields(out)[unit]


def far_misses(command, function, unit):
    """Data reads and writes of `function` a unit that a second-level cache of 2 MiB has not, as callgrind simulates it."""
    simulated = ["--cache-sim=yes", "--LL=2097152,16,64"]
    out, err = run(CALLGRIND + simulated + ["--instr-atstart=" + ("no" if function == "bench_work*" else "yes"), "--toggle-collect=" + function] + command, COUNTING)
    found = re.search(r"LLd misses:\s+([\d,]+)", err)
    if not found:
        raise Failed("callgrind told no misses")
    return int(found.group(1).replace(",", "")) / fields(out)[unit]


# ---- The rows of "In memory, one core, both ends" ----


class Row:
    """One kind of work: the same options for each stack."""

    def __init__(self, title, options, value, unit, must, peers, must_instr=None, counted=None, conns=1, peer_options=None, once=()):
        self.title, self.options, self.value, self.unit = title, options, value, unit
        self.must, self.must_instr, self.peers = must, must_instr, peers
        self.counted = counted  # options for callgrind; None: not counted
        self.conns = conns
        self.peer_options = peer_options or {}  # a peer that is too slow for the row's count
        self.once = once  # a peer whose set-up takes minutes

    def options_of(self, stack):
        return self.peer_options.get(stack, self.options)


LWIPS = ["lwip", "lwip-avx2"]


def rows(quick):
    n = 4 if quick else 1
    listed = [
        Row("bulk, 1,460-byte segments, checksums on, three copies", f"--work bulk --count {3000000 // n}", "gbit_s", "Gbit/s", 40,
            LWIPS + ["kernel"], must_instr=2000, counted="--work bulk --count 20000"),
        Row("bulk, super-segments, summed once by the sender, two copies", f"--work bulk-super --count {20000000 // n}", "gbit_s", "Gbit/s", 120,
            ["kernel"], counted="--work bulk-super --count 60000"),
        Row("64-byte request and response, 1 connection", f"--work rr --count {1000000 // n}", "per_s", "/s", 2.5e6,
            ["lwip", "kernel"], must_instr=2500, counted="--work rr --count 3000"),
        Row("the same over 1,000 connections", f"--work rr --conns 1000 --count {1000000 // n}", "per_s", "/s", 1.8e6,
            ["lwip", "kernel"], counted="--work rr --conns 1000 --count 4000", conns=1000,
            peer_options={"lwip": f"--work rr --conns 1000 --count {100000 // n}"}),
        Row("the same over 50,000 connections", f"--work rr --conns 50000 --count {1000000 // n}", "per_s", "/s", 1.0e6,
            ["kernel"] if quick else ["lwip", "kernel"], conns=50000,
            peer_options={"lwip": "--work rr --conns 50000 --count 500"}, once=("lwip",)),
        Row("connect, request, close (FIN, TIME_WAIT: 1,000 of them)", f"--work crr --count {200000 // n}", "per_s", "/s", 5e5,
            ["lwip", "kernel"], must_instr=9000, counted="--work crr --count 1000"),
        Row("memory of an idle connection, the dearer end", f"--work idle --conns {10000 if quick else 100000}", "bytes", "bytes", 320,
            ["lwip"], peer_options={"lwip": "--work idle --conns 10000"}),
    ]
    if not quick:
        listed.insert(5, Row("the same over 1,000,000 connections", "--work rr --conns 1000000 --count 2000000", "per_s", "/s", 6e5, [], conns=1000000))
    return listed


def value_of(row, out):
    f = fields(out)
    return max(f["client_bytes"], f["server_bytes"]) if row.value == "bytes" else f[row.value]


def number(v):
    if v >= 100:
        return f"{v:,.0f}"
    return f"{v:.1f}" if v >= 10 else f"{v:.2f}"


def mem_available():
    with open("/proc/meminfo", encoding="ascii") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("MemAvailable"))


def measure(row, runs):
    """{stack: [values] or the reason why there are none}, interleaved; and how many packets a unit took."""
    pkts = {}
    all_stacks = ["weir"] + [p for p in row.peers if p in present()]
    got = {s: [] for s in all_stacks}
    if row.conns * BYTES_A_CONNECTION > mem_available():
        return {s: "not enough memory free" for s in all_stacks}, pkts
    for i in range(runs):
        for s in all_stacks:
            if isinstance(got[s], str) or (i > 0 and s in row.once):
                continue
            try:
                out = run(stacks(s, row.options_of(s)))[0]
                got[s].append(value_of(row, out))
                pkts[s] = fields(out).get("pkts_per_unit")
            except Failed as e:
                got[s] = str(e)
    return got, pkts


def is_met(row, value):
    return value <= row.must if row.value == "bytes" else value >= row.must


def verdict(row, values, count):
    if isinstance(values, str):
        return "not measured"
    parts = [f"{number(row.must)} {row.unit}: " + ("met" if is_met(row, statistics.median(values)) else "**not met**")]
    if row.must_instr and count is not None:
        parts.append(f"{row.must_instr:,} instructions: " + ("met" if count <= row.must_instr else "**not met**"))
    return "; ".join(parts)


def ratio(row, got, stack):
    if stack == "weir" or isinstance(got["weir"], str) or isinstance(got[stack], str):
        return ""
    ours, theirs = statistics.median(got["weir"]), statistics.median(got[stack])
    return f"{ours / theirs:.2f}"


def table_of_rows(quick, runs):
    out = ["| work | stack | median | range | weir / it | packets a unit | instructions a unit | must |", "|---|---|---|---|---|---|---|---|"]
    commands = [COUNTING_SHELL]
    for row in rows(quick):
        progress(row.title)
        got, pkts = measure(row, runs)
        for stack, values in got.items():
            count = None
            if row.counted and stack != "kernel" and not isinstance(values, str):
                count = instructions(stacks(stack, row.counted), "bench_work*", "units")
            told = f"cannot: {values}" if isinstance(values, str) else f"{number(statistics.median(values))} {row.unit}"
            packets = f"{pkts[stack]:.2f}" if pkts.get(stack) else ""
            spread = "" if isinstance(values, str) else f"{number(min(values))} - {number(max(values))}"
            out.append(
                f"| {row.title if stack == 'weir' else ''} | {stack} | {told} | {spread} | {ratio(row, got, stack)} | {packets} | "
                f"{'' if count is None else f'{count:,.0f}'} | {verdict(row, values, count) if stack == 'weir' else ''} |"
            )
            commands.append(" ".join(stacks(stack, row.options_of(stack))))
            if count is not None:
                commands.append("cg " + " ".join(stacks(stack, row.counted)))
    return out + ["", "A row's commands, in its order:", "", "```"] + commands + ["```"]


def table_of_families(runs, n):
    """The same two kinds of work over IPv6 and Ethernet."""
    out = ["| | bulk, Gbit/s | bulk, super-segments, Gbit/s | requests/s, 1 connection | connections/s |", "|---|---|---|---|---|"]
    kinds = [(f"--work bulk --count {1000000 // n}", "gbit_s"), (f"--work bulk-super --count {10000000 // n}", "gbit_s"),
             (f"--work rr --count {400000 // n}", "per_s"), (f"--work crr --count {100000 // n}", "per_s")]
    names = {"weir": "IPv4", "weir-ipv6": "IPv6", "weir-ethernet": "IPv4 over Ethernet"}
    got = {s: [[] for _ in kinds] for s in names}
    for _ in range(runs):
        for s in names:
            for i, (options, value) in enumerate(kinds):
                got[s][i].append(fields(run(stacks(s, options))[0])[value])
    for s, name in names.items():
        out.append(f"| {name} | " + " | ".join(number(statistics.median(v)) for v in got[s]) + " |")
    return out


CORES = """
Two threads, each with a core and a pair of shards in it (`docs/shards.md`): shard k of the one host is joined to shard k of the other, and each
packet is steered as a device would steer it, or weir for one that can't; a packet that came to another shard would end the run. The same
work in each. A number is the sum of what each thread did in a second of its own core, beside one thread and one stack at each end, in turn; the
ratio is the median of each turn's. In wall time is what a second gave, which says as much only where nobody else has a core.
"""


def table_of_cores(quick, runs):
    n = 4 if quick else 1
    works = [("bulk, 1,460-byte segments", f"--work bulk --count {3000000 // n}", "gbit_s", "Gbit/s"),
             ("bulk, super-segments", f"--work bulk-super --count {20000000 // n}", "gbit_s", "Gbit/s"),
             ("64-byte request and response, 1 connection a thread", f"--work rr --count {1000000 // n}", "per_s", "/s"),
             ("the same, 1,000 connections a thread", f"--work rr --conns 1000 --count {1000000 // n}", "per_s", "/s"),
             ("connect, request, close", f"--work crr --count {200000 // n}", "per_s", "/s")]
    out = ["| work | one thread | two threads | range | times | in wall time, times | must |", "|---|---|---|---|---|---|---|"]
    commands = []
    for title, options, value, unit in works:
        progress("two cores: " + title)
        pair = [stacks("weir", options), stacks("weir", options + " --threads 2")]
        got = [[fields(run(command)[0]) for command in pair] for _ in range(runs)]
        one, two = [g[0][value] for g in got], [g[1][value] for g in got]
        ratio = statistics.median(b / a for a, b in zip(one, two))
        wall = statistics.median(g[1]["wall_per_s"] / g[0]["wall_per_s"] for g in got)
        out.append(f"| {title} | {number(statistics.median(one))} {unit} | {number(statistics.median(two))} {unit} | {number(min(two))} - {number(max(two))} | "
                   f"{ratio:.2f} | {wall:.2f} | 1.8 times: {'met' if ratio >= 1.8 else '**not met**'} |")
        commands += [" ".join(c) for c in pair]
    return out + ["", "```"] + commands + ["```"]


# ---- Latency: runs of its own, for the clock is read twice a request ----


def table_of_latency(quick):
    n = 4 if quick else 1
    out = ["| work | stack | p50, µs | p99, µs | p99.9, µs |", "|---|---|---|---|---|"]
    commands = []
    works = [("request and response, 1 connection", f"--work rr --count {400000 // n}", ["weir", "lwip", "kernel"]),
             ("1,000 connections, 32 requests under way", f"--work rr --conns 1000 --count {400000 // n}", ["weir", "kernel"]),
             ("50,000 connections, 32 requests under way", f"--work rr --conns 50000 --count {400000 // n}", ["weir"]),
             ("connect, request, close", f"--work crr --count {100000 // n}", ["weir", "lwip", "kernel"])]
    if not quick and 1000000 * BYTES_A_CONNECTION < mem_available():
        works.insert(3, ("1,000,000 connections, 32 requests under way", "--work rr --conns 1000000 --count 1000000", ["weir"]))
    for title, options, who in works:
        progress("latency: " + title)
        for i, stack in enumerate(s for s in who if s in present()):
            command = stacks(stack, options + " --latency 1")
            try:
                # The best of three of each: what interrupts a run is not the stack's.
                got = [fields(run(command)[0]) for _ in range(3)]
                cells = " | ".join(number(min(g[p] for g in got)) for p in ("p50_us", "p99_us", "p999_us"))
            except Failed as e:
                cells = f"cannot: {e} | | "
            out.append(f"| {title if i == 0 else ''} | {stack} | {cells} |")
            commands.append(" ".join(command))
    return out + ["", "```"] + commands + ["```"]


# ---- The simulator ----

SIM_MUST, SIM_AIM = 1e6, 3e6
# Virtual time: a second for the flows to find their windows, then what is counted.
SIM_TIMES = {"weir": "1000 1000", "ns3": "1000 300"}
SIM_COUNTED = "500 100"


def simulators():
    return [s for s in ("weir", "ns3") if os.path.exists(os.path.join(ROOT, "build/bench/bench-sim-" + s))]


def table_of_simulation(runs):
    out = ["| flows | simulator | packets over a link a CPU second | range | weir / it | instructions a packet | goodput, Mbit/s | must |", "|---|---|---|---|---|---|---|---|"]
    commands = [COUNTING_SHELL]
    for flows in (100, 10):
        progress(f"simulation: {flows} flows")
        commands_of = {s: [f"build/bench/bench-sim-{s}", str(flows)] + words(SIM_TIMES[s]) for s in simulators()}
        got = {s: [] for s in commands_of}
        for _ in range(runs):
            for s, command in commands_of.items():
                got[s].append(fields(run(command)[0]))
        counted = ["build/bench/bench-sim-weir", str(flows)] + words(SIM_COUNTED)
        per_packet = instructions(counted, "bench_work*", "units")
        median = {s: statistics.median(f["per_s"] for f in got[s]) for s in got}
        for s, command in commands_of.items():
            rates = [f["per_s"] for f in got[s]]
            times = "" if s == "weir" else f"{median['weir'] / median[s]:.1f}"
            told = f"{SIM_MUST:,.0f}: {'met' if median[s] >= SIM_MUST else '**not met**'}; aim {SIM_AIM:,.0f}: {'met' if median[s] >= SIM_AIM else 'not met'}"
            out.append(f"| {flows if s == 'weir' else ''} | {'ns-3 3.37' if s == 'ns3' else s} | {number(median[s])} | {number(min(rates))} - {number(max(rates))} | {times} | "
                       f"{f'{per_packet:,.0f}' if s == 'weir' else ''} | {got[s][0]['goodput_mbit_s']:.0f} | {told if s == 'weir' and flows == 100 else ''} |")
            commands.append(" ".join(command))
        commands.append("cg " + " ".join(counted))
    if "ns3" not in simulators():
        out += ["", "ns-3 is not installed here (libns3-dev)."]
    return out + ["", "```"] + commands + ["```"]


# ---- Connections that idle, and a hundredth of them that ask ----

BYTES_HELD = 400  # of a connection, the most that it may take
HELD_FIRST = 2 << 30  # and of those that have just begun, which are not parked yet
HELD_MUST = 5
HELD_HOW = """
One stack, and a generator without state as all of its clients (`bench/held.c`). 100,000 connections begin in a second of the stack's clock; each is accepted and
watched by epoll, then all idle until they are parked, and at the end 1 % of them ask, ten times each, one at a time: the latency is from the request's arrival
to the response's departure through epoll, recv and send, in wall time. A connection's first request wakes it. Bytes: all that was asked of the allocator, the
handle and epoll's watch included. Unloaded: one connection asks, of 100. The least of three runs of each percentile; the largest row is run once.
"""


def table_of_held(quick):
    out = ["| connections | bytes each | at most, MiB | opened in, s | p50, µs | p99, µs | first request: p50 | p99 | p99 / unloaded | must |",
           "|---|---|---|---|---|---|---|---|---|---|"]
    commands, unloaded = [], None
    for n in [100, 100000] + ([] if quick else [1000000, 10000000]):
        command = [HELD, "--conns", str(n)] + (["--rounds", "200000"] if n == 100 else [])
        progress(f"held: {n}")
        commands.append(" ".join(command))
        if n * BYTES_HELD + HELD_FIRST > mem_available():
            out.append(f"| {n:,} | cannot: not enough memory free | | | | | | | | |")
            continue
        got = [fields(run(command)[0]) for _ in range(1 if n >= 10000000 else 3)]
        best = {k: min(g[k] for g in got) for k in got[0]}
        unloaded = unloaded or best["p99_us"]
        times = best["p99_us"] / unloaded
        judged = "" if n == 100 else f"< {HELD_MUST}: " + ("met" if times < HELD_MUST else "**not met**")
        firsts = " | " if n == 100 else f"{best['first_p50_us']:.2f} | {best['first_p99_us']:.2f}"
        out.append(f"| {n:,} | {best['bytes']:,.0f} | {best['most_mib']:,.0f} | {best['open_s']:.1f} | {best['p50_us']:.2f} | {best['p99_us']:.2f} | {firsts} | {times:.2f} | {judged} |")
    return out + ["", "```"] + commands + ["```"]


# ---- Growth ----


def curve(command_of, value, sizes, runs):
    """[(n, median)], up to the first size that fails."""
    line = []
    for n in sizes:
        try:
            line.append((n, statistics.median(fields(run(command_of(n))[0])[value] for _ in range(runs))))
        except Failed as e:
            progress(f"  at {n}: {e}")
            break
    return line


def powers(first, last, extra=()):
    n, out = first, []
    while n <= last:
        out.append(n)
        n *= 10
    return sorted(set(out) | set(extra))


def write_plot(name, title, x_label, y_label, series):
    path = os.path.join(HERE, "plots", name + ".svg")
    with open(path, "w", encoding="utf-8") as f:
        f.write(plot.svg(title, x_label, y_label, {k: v for k, v in series.items() if v}))
    return f"![{title}](plots/{name}.svg)"


def connection_curves(quick, runs):
    most = 50000 if quick or mem_available() < 1000000 * BYTES_A_CONNECTION else 1000000
    sizes = {"weir": powers(1, most, [50000]), "lwip": powers(1, 1000 if quick else 10000), "kernel": powers(1, 1000)}
    counts = {"weir": 200000, "lwip": 5000, "kernel": 100000}

    def command(stack):
        return lambda n: stacks(stack, f"--work rr --conns {n} --count {max(counts[stack], 2 * n)}")

    series = {s: curve(command(s), "per_s", sizes[s], runs) for s in sizes if s in present()}
    image = write_plot("connections", "64-byte requests a second, round robin, both ends on one core", "connections", "requests / s", series)
    out = [image, "", "| connections | " + " | ".join(series) + " |", "|---|" + "---|" * len(series)]
    for n in sizes["weir"]:
        cells = [next((number(y) for x, y in line if x == n), "") for line in series.values()]
        out.append(f"| {n:,} | " + " | ".join(cells) + " |")
    return out


class Grown:
    """What a stack holds N of, and what one operation then costs."""

    def __init__(self, what, command, unit, low, high, counted_high, wall):
        self.what, self.command, self.unit, self.low, self.high = what, command, unit, low, high
        self.counted_high = counted_high  # what callgrind has the time for
        self.wall = wall  # fields -> nanoseconds an operation
        self.function = "growth_op*" if command(1)[0] == GROWTH else "bench_work*"


def grown(quick):
    def per_unit(f):
        return 1e9 / f["per_s"]

    def ns(f):
        return f["ns"]

    return [
        Grown("holes in one connection's data: a segment far out of order", lambda n: [GROWTH, "holes", str(n)], "ops", 10, 100000, 100000, ns),
        Grown("listeners: connect, request, close, at one of them", lambda n: stacks("weir", f"--work crr --listeners {n} --count 20000"), "units", 10, 10000, 10000, per_unit),
        Grown("timers armed at each end: request and response over 10 connections", lambda n: stacks("weir", f"--work rr --conns 10 --armed {n} --count 200000"),
              "units", 10, 100000 if quick else 1000000, 10000, per_unit),
        Grown("routes: connect of a datagram socket", lambda n: [GROWTH, "routes", str(n)], "ops", 10, 100000, 100000, ns),
        Grown("connections in TIME_WAIT: connect, request, close", lambda n: stacks("weir", f"--work crr --conns {n} --count {max(20000, 2 * n)}"), "units", 10, 10000, 10000, per_unit),
    ]


def counted_command(command):
    return [re.sub(r"^(20000|200000)$", "2000", w) for w in command]


def growth_table(quick, runs):
    series, out = {}, ["| N of | from - to | ns an operation | times | instructions an operation | times | beyond 2 MiB of cache | flat (≤ 1.5) |", "|---|---|---|---|---|---|---|---|"]
    commands = []
    for g in grown(quick):
        progress("growth: " + g.what)
        line, held = [], None
        for n in powers(g.low, g.high):
            if g.what.startswith("timers") and n * BYTES_A_CONNECTION > mem_available():
                break
            got = [fields(run(g.command(n))[0]) for _ in range(runs)]
            line.append((n, statistics.median(g.wall(f) for f in got)))
            held = got[0].get("held")
        series[g.what.split(":")[0]] = line
        counts = [instructions(counted_command(g.command(n)), g.function, g.unit) for n in (g.low, g.counted_high)]
        far = [far_misses(counted_command(g.command(n)), g.function, g.unit) for n in (g.low, g.counted_high)]
        wall, steps = line[-1][1] / line[0][1], counts[1] / counts[0]
        flat = f"instructions: {'yes' if steps <= 1.5 else '**no**'}; time: {'yes' if wall <= 1.5 else '**no**'}"
        if held is not None and held < line[-1][0]:
            flat = f"**no**: one connection holds {held:,.0f}, what is beyond is refused"
        upto = "" if g.counted_high == line[-1][0] else f" (up to {g.counted_high:,})"
        out.append(f"| {g.what} | {g.low} - {line[-1][0]:,} | {number(line[0][1])} - {number(line[-1][1])} | {wall:.2f} | "
                   f"{counts[0]:,.0f} - {counts[1]:,.0f}{upto} | {steps:.2f} | {far[0]:.1f} - {far[1]:.1f} | {flat} |")
        commands.append(" ".join(g.command(line[-1][0])))
    image = write_plot("growth", "Time of one operation, with N of a thing held", "N", "ns", series)
    return [image, ""] + out + ["", "```"] + commands + ["```"]


# ---- The page ----


def present():
    """Stacks that this build has."""
    if not hasattr(present, "known"):
        usage = subprocess.run([STACKS], cwd=ROOT, capture_output=True, text=True, check=False).stderr
        present.known = re.search(r"NAME: (.*)", usage).group(1).split()
    return present.known


def progress(text):
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def machine():
    with open("/proc/cpuinfo", encoding="ascii") as f:
        info = f.read()
    model = re.search(r"model name\s*: (.*)", info)
    with open("/proc/meminfo", encoding="ascii") as f:
        total = int(re.search(r"MemTotal:\s*(\d+)", f.read()).group(1)) / 1048576
    gcc = run(["cc", "--version"])[0].splitlines()[0]
    commit = run(["git", "rev-parse", "--short", "HEAD"])[0].strip()
    dirty = "" if not run(["git", "status", "--porcelain", "src", "include"])[0] else ", changed"
    lines = [
        f"- {time.strftime('%d %B %Y').lstrip('0')}, commit {commit}{dirty}",
        f"- {model.group(1) if model else platform.machine()}, {os.cpu_count()} cores, {total:.0f} GiB, Linux {platform.release().split('-')[0]}",
        f"- compiler: {gcc}",
    ]
    for s in present():
        if s not in ("weir-ipv6", "weir-ethernet", "lwip-avx2"):
            lines.append(f"- {s}: {run(stacks(s, '--work about'))[0].strip()}")
    return lines


INTRO = """# Benchmarks

Written by `make bench{quick}`; `make bench-quick` compares the instruction counts with those of `instructions.tsv` in a minute. The link over bad
networks is in [cc.md](cc.md).
"""

HOW = """
Two instances of a stack in one process and one thread, joined in memory (`bench/node.h`): both ends are counted, in virtual time, over a fixed
count of work. Every byte that arrives is compared with what was sent; that, set-up and a warm-up of a tenth are not counted, for any stack.
A number is per CPU second: what others had of the core is taken off. Median and range of {runs} runs, stacks in turn (A B A B). Where two
ratios disagree with the instruction counts, believe the counts: this machine is shared.

- bulk: 128 KiB a write (iperf3's), one stream, MTU 1,500. Each packet is copied into a flat frame; the sender's stack fills its checksum in and the
  receiver's verifies it. lwip-avx2 is lwip with its sum replaced by one in AVX2. The kernel's loopback sums nothing (its MTU is 1,500 here and
  its offloads are off).
- super-segments: up to 64 KiB go from one weir to the other by reference. Each byte is summed once, while
  `weir_send` copies it; the checksum is put together from such sums where the packet leaves. The receiver trusts it and does not sum again. The kernel's loopback has its offloads and sums nothing.
- a unit is a segment's worth of payload (1,460 bytes), a request with its response, or a connection; acknowledgements are among its packets.
- requests: 64 bytes each way, TCP_NODELAY, each connection in turn, up to 32 of them under way at once.
- connect, request, close: the client closes first and keeps the TIME_WAIT; the clock moves so that 1,000 of them are held (2,000 in lwip,
  whose TIME_WAIT is twice as long and whose timers walk all of them every half second; the kernel has its own clock).
- memory: all that was asked of the allocator, listener and tables included (lwip: what malloc gave, both ends together halved).
"""

SIMULATION = """A dumbbell in virtual time: a client and a server for each bulk flow, two routers, between them 1 Gbit/s with a buffer of 5 MB; access links of
10 Gbit/s; 40 ms there and back; CUBIC, SACK, timestamps, segments of 1,448 bytes. A packet counts once for each of the three links that it
crosses. Each weir host is a whole stack, and every byte that arrives is compared with what was sent; ns-3's packets have no bytes. In
weir no checksum is made or verified on links that nobody captures (of a packet that a link corrupts it is), nor in ns-3.
"""


def main():
    args = argparse.ArgumentParser(usage="bench/report.py [--quick] [--only PART]...")
    args.add_argument("--quick", action="store_true")
    names = ["rows", "cores", "latency", "held", "simulation", "growth", "programs"]
    args.add_argument("--only", action="append", choices=names)
    args.add_argument("--out", default=os.path.join(HERE, "results.md"))
    a = args.parse_args()
    parts = a.only or names
    runs = 3 if a.quick else 7
    os.makedirs(os.path.join(HERE, "plots"), exist_ok=True)

    page = [INTRO.format(quick=" QUICK=1" if a.quick else "")] + machine()
    if "rows" in parts:
        page += ["", "## In memory, one core, both ends", HOW.format(runs=runs)] + table_of_rows(a.quick, runs)
        page += ["", "Over IPv6 and Ethernet:", ""] + table_of_families(3, 4 if a.quick else 1)
        page += ["", "Not measured here: the wire."]
    if "cores" in parts:
        page += ["", "## In memory, two cores", CORES] + (table_of_cores(a.quick, runs) if os.cpu_count() > 1 else ["Not measured: this machine has one core."])
    if "latency" in parts:
        page += ["", "## Latency of a request", "", "The least of three runs of each percentile, in wall time, nothing taken off.", ""] + table_of_latency(a.quick)
    if "held" in parts:
        page += ["", "## Connections held by one server", HELD_HOW] + table_of_held(a.quick)
    if "simulation" in parts:
        page += ["", "## The simulator", "", SIMULATION] + table_of_simulation(3)
    if "growth" in parts:
        page += ["", "## Growth", "", "### Connections", ""] + connection_curves(a.quick, 3)
        page += ["", "### What is held", "",
                 "Medians of wall time, or of CPU time where whole units are counted. What grows there and not in the instructions is memory out of reach of the caches: "
                 "`beyond 2 MiB of cache` counts how many lines an operation asks of what is behind a second-level cache of that size (callgrind's simulation), "
                 "at some 100 ns each where one leads to the next. An operation on one of 100,000 things in no order cannot do without: a route's node and the "
                 "way to it lie in lines that nobody has touched for long, and a hole's place among 100,000 is found by a tree of 17 levels, of which the "
                 "upper ones are in reach. Each operation takes another one of N, which is the worst case.", ""]
        page += growth_table(a.quick, 3)
    if "programs" in parts:
        page += ["", "## Readiness", "", "```"] + run(["build/bench/bench-readiness"])[0].rstrip().splitlines() + ["```"]
        page += ["", "## `weir run curl`, 1 GiB", "", "```"]
        page += run(["bash", "bench/run.sh"], dict(os.environ, WEIR=os.path.join(ROOT, "build/weir")))[0].rstrip().splitlines() + ["```"]
    with open(a.out, "w", encoding="utf-8") as f:
        f.write("\n".join(page) + "\n")
    print(f"wrote {os.path.relpath(a.out, ROOT)}")


if __name__ == "__main__":
    try:
        main()
    except Failed as e:
        sys.exit(f"bench/report.py: {e}")
