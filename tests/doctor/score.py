"""
How often is weir doctor right? Over the set of tests/doctor: the scenarios of cases.py, played by the lab now, and the captures
of Linux's TCP in kernel/. Each verdict of each connection at each vantage is counted against the truth.

  score.py [--part tuned|held-out|both] [--check] [--write FILE] [--tshark] [--only NAME] [--keep DIR] [--wrong]

--check ends with 1 where a verdict with three positives or more, or all together, falls below 0.95 in precision or recall
(less for what EXCUSED lists). --write makes the table of docs/doctor-score.md. What tshark says, beside it, is that of tshark.json, which
--tshark makes anew (minutes; when the set has changed). --wrong tells of each wrong verdict. --keep leaves the captures in DIR. $WEIR is the binary.
"""
import argparse
import collections
import concurrent.futures
import ipaddress
import json
import os
import re
import subprocess
import sys
import tempfile

import capture
import cases
import truth

HERE = os.path.dirname(os.path.abspath(__file__))
WEIR = os.environ.get("WEIR", os.path.join(HERE, "../../build/weir"))
TSHARK_FILE = os.path.join(HERE, "tshark.json")
PARTS = {"tuned": 0, "held-out": 300}
LEAST, FEW = 0.95, 3
# Verdicts that don't reach it in the held-out part: what they must not fall below, precision and recall, and why.
EXCUSED = {
    "limit-application": (0.85, 0.95, "two of twenty: seen from the receiver, a sender whose buffer ends each flight with a short segment"),
    "limit-sender": (0.95, 0.80, "the same two"),
    "reordering": (0.95, 0.90, "one missed of sixteen: few positives weigh much"),
}

# What comes nearest to a verdict in what tshark says of a packet: fields of which one is set. The rest it has no notion of.
RESET = ("tcp.flags.reset",)
TSHARK = {
    "refused": RESET, "reset-closed-socket": RESET, "reset-half-open": RESET, "reset-backlog": RESET, "reset-idle-nat": RESET,
    "reset-unread": RESET, "reset-abort": RESET, "closed": ("tcp.flags.fin",),
    "path-loss": ("tcp.analysis.retransmission", "tcp.analysis.fast_retransmission", "tcp.analysis.lost_segment"),
    "rto": ("tcp.analysis.rto",),
    "capture-loss": ("tcp.analysis.ack_lost_segment",), "spurious-retransmission": ("tcp.analysis.spurious_retransmission",),
    "reordering": ("tcp.analysis.out_of_order",), "zero-window": ("tcp.analysis.zero_window",),
    "limit-receiver": ("tcp.analysis.window_full",), "keepalive-death": ("tcp.analysis.keep_alive",),
    "port-reuse": ("tcp.analysis.reused_ports",), "ip-conflict": ("arp.duplicate-address-detected",),
    "corrupted": ("tcp.checksum_bad",), "checksum-offload": ("tcp.checksum_bad",), "syn-retries": ("syn.retransmission",),
}
TSHARK_ENDS = ["tcp.stream", "ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "ipv6.src", "ipv6.dst"]
TSHARK_FIELDS = ["tcp.flags.reset", "tcp.flags.fin", "tcp.flags.syn", "tcp.checksum.status"] + sorted(
    {f for fields in TSHARK.values() for f in fields if ".analysis." in f or f.startswith("arp.")})


class Subject:
    """A capture file and what is true of it: connections as (client, server, Truth), and the verdicts of none of them."""

    def __init__(self, name, part, path, connections, network=()):
        self.name, self.part, self.path, self.connections, self.network = name, part, path, connections, set(network)
        self.said, self.streams, self.marks = None, None, None


# ---- Making ----

def play(directory, name, function, seed):
    draw = cases.Draw(f"{name}/{seed}")
    world = function(draw)
    stem = os.path.join(directory, f"{name}-{seed}")

    def run(extra):
        with open(stem + ".yaml", "w", encoding="utf-8") as f:
            f.write(world.yaml(extra))
        done = subprocess.run([WEIR, "lab", stem + ".yaml", "--seed", str(seed + 1), "--pcap", stem + ".pcapng", "--trace",
                               stem + ".jsonl"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stdout[-300:]}{done.stderr[-300:]}")
        return capture.read(stem + ".pcapng")
    whole = run(())
    if world.isn_for:
        seen = [t for t in capture.segments(whole) if t.packet.interface == 0]
        isn = next(t.seq for t in seen if t.flags & capture.SYN and t.flags & capture.ACK)
        last = next(b.at for a, b in zip(seen, seen[1:]) if b.length and b.at - a.at > 5 * 10 ** 9)
        begin = seen[0].at - 10_000_000
        whole = run(world.isn_for(isn, last - begin))
    return world, whole, truth.Run(stem + ".jsonl"), stem


def treat(whole, vantage, treatment):
    """A capture as another tool, or a worse one, would have made it: the capture, its form, since when it counts, and what is
    not in it."""
    seen = capture.of_interface(whole, vantage)
    since, gone, form = 0, [], "pcapng"
    if m := re.fullmatch(r"snap(\d+)", treatment):
        seen = capture.snapped(seen, int(m[1]))
        form = "us"
    elif treatment in ("vlan", "sll", "null", "ethernet"):
        seen, form = capture.on_link(seen, treatment), "us"
    elif treatment in ("ns", "big"):
        form = treatment
    elif m := re.fullmatch(r"missing(\d*)", treatment):
        seen, gone = capture.missing(seen, int(m[1] or 17))
    elif treatment == "twice":
        seen = capture.twice(seen)
    elif treatment == "v6":
        seen = capture.on_ipv6(seen)
    elif treatment == "both":
        seen = whole
    elif treatment == "cut":
        since = seen.packets[len(seen.packets) // 3].at
        seen = capture.from_time(seen, since)
    elif treatment == "oneway":
        data = collections.Counter()
        for t in capture.segments(seen):
            data[t.src.split(":")[0]] += t.length
        seen = capture.one_way(seen, data.most_common(1)[0][0])
    elif treatment:
        raise ValueError(treatment)
    return seen, form, since, gone


def as_ipv6(end):
    address, port = end.split(":")
    return f"[{ipaddress.ip_address(capture.ipv6_of(ipaddress.ip_address(address).packed))}]:{port}"


def declare(t, facts, vantage):
    t.excuse(*facts.may)
    for verdict in (*facts.must, *facts.must_at[vantage]):
        if "|" in verdict:
            group = verdict.split("|")
            t.excuse(*group)
            t.either.append(group)
        else:
            t.need(verdict)


def weaken(t, treatment, gone, conn):
    """What a worse capture leaves of the truth."""
    if treatment.startswith("missing"):
        lost = [g for g in gone if g.length and {g.src, g.dst} == set(conn.ends())]
        kept = {(p.src, p.seq) for side in (0, 1) for p in conn.packets[side] if p.length and p not in gone and
                p.packet.interface == (gone[0].packet.interface if gone else 0)}
        if any((g.src, g.seq) not in kept for g in lost):
            t.need("capture-loss")
        else:
            t.allow("capture-loss")
    if treatment == "oneway":
        kept = ("client", "server")[not any(p.length and p.src == conn.client for p in conn.packets[0])]
        for verdict, side in list(t.must.items()):
            if verdict != "path-loss" and (verdict, side) != ("zero-window", kept):
                t.excuse(verdict)
        t.allow("closed", "open", "never-closed", "no-answer", *truth.LIMIT_IDS, "capture-loss")
    if treatment.startswith("snap"):
        if "corrupted" in t.must:
            del t.must["corrupted"]
        t.allow("corrupted", "path-loss") if "corrupted" in t.may else None


def subjects_of(directory, name, function, ways, part, seed):
    world, whole, run, stem = play(directory, name, function, seed)
    found = []
    all_segments = {v: capture.segments(capture.of_interface(whole, v)) for v in (0, 1)}
    conns = truth.connections(all_segments)
    if len(conns) != len(world.facts):
        raise RuntimeError(f"{name}: {len(conns)} connections, {len(world.facts)} are declared")
    for way in ("client", "server", *ways):
        vantage, _, treatment = way.partition("+")
        vantage = ("client", "server").index(vantage)
        seen, form, since, gone = treat(whole, vantage, treatment)
        if not seen.packets or vantage not in world.vantages:
            continue
        path = f"{stem}-{way}.{'pcapng' if form == 'pcapng' else 'pcap'}"
        capture.write(path, seen, form)
        truths = []
        for conn, facts in zip(conns, world.facts):
            if not [t for t in conn.packets[vantage] if t.at >= since]:
                continue
            t = truth.judge(run, conn, vantage, since, facts.end, world.has_queue)
            declare(t, facts, vantage)
            weaken(t, treatment, gone, conn)
            if treatment == "both":
                other = truth.judge(run, conn, 1 - vantage, since, facts.end, world.has_queue)
                t.allow(*other.must, *other.may)
            ends = [as_ipv6(e) for e in conn.ends()] if treatment == "v6" else conn.ends()
            truths.append((*ends, t))
        found.append(Subject(f"{name}-{seed} {way}", part, path, truths, world.network[vantage]))
    for leftover in (".jsonl", ".pcapng"):
        os.unlink(stem + leftover)
    return found


def kernel_subjects(parts):
    with open(os.path.join(HERE, "kernel/truth.json"), encoding="utf-8") as f:
        table = json.load(f)
    found = []
    for entry in table:
        if entry["part"] not in parts:
            continue
        truths = []
        for c in entry["connections"]:
            t = truth.Truth()
            for verdict in c.get("must", []):
                name, _, side = verdict.partition("@")
                if "|" in name:
                    t.either.append(name.split("|"))
                else:
                    t.need(name, side or None)
            t.allow(*c.get("may", []))
            truths.append((c["client"], c["server"], t))
        found.append(Subject(entry["file"], entry["part"], os.path.join(HERE, "kernel", entry["file"]), truths,
                             entry.get("network", ())))
    return found


# ---- Asking ----

def ask_doctor(subject):
    done = subprocess.run([WEIR, "doctor", "--json", subject.path], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{subject.name}: weir doctor ended with {done.returncode}: {done.stderr[-300:]}")
    subject.said = [json.loads(line) for line in done.stdout.splitlines()]


def ask_tshark(subject):
    """For each pair of ends its streams, and the marks that each stream has."""
    command = ["tshark", "-r", subject.path, "-o", "tcp.check_checksum:TRUE", "-T", "fields"]
    for field in TSHARK_ENDS + TSHARK_FIELDS:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"tshark: {done.stderr[-300:]}")
    subject.streams, subject.marks = collections.defaultdict(list), collections.defaultdict(set)
    for line in done.stdout.splitlines():
        row = line.split("\t")
        stream, src, sport, dst, dport, src6, dst6 = row[:7]
        src, dst = src or f"[{src6}]", dst or f"[{dst6}]"
        ends = frozenset((f"{src}:{sport}", f"{dst}:{dport}"))
        if stream and stream not in subject.streams[ends]:
            subject.streams[ends].append(stream)
        values = dict(zip(TSHARK_FIELDS, row[7:]))
        marks = {f for f, v in values.items() if v and not f.startswith("tcp.flags") and f != "tcp.checksum.status"}
        marks |= {f for f in ("tcp.flags.reset", "tcp.flags.fin") if values[f] == "1"}
        if values["tcp.checksum.status"] == "0":
            marks.add("tcp.checksum_bad")
        if values["tcp.flags.syn"] == "1" and values["tcp.analysis.retransmission"]:
            marks.add("syn.retransmission")
        subject.marks[stream] |= marks


# ---- Counting ----

class Tally:
    def __init__(self):
        self.hit, self.false, self.missed, self.open, self.side_right, self.side_all = 0, 0, 0, 0, 0, 0

    def precision(self):
        return self.hit / (self.hit + self.false) if self.hit + self.false else None

    def recall(self):
        return self.hit / (self.hit + self.missed) if self.hit + self.missed else None


def compare(tallies, said, t, wrong, name):
    """said: verdict -> side."""
    must, may = t.settled(said)
    for verdict, side in said.items():
        if verdict in must:
            tallies[verdict].hit += 1
            if must[verdict]:
                tallies[verdict].side_all += 1
                tallies[verdict].side_right += side == must[verdict]
        elif verdict in may:
            tallies[verdict].open += 1
        else:
            tallies[verdict].false += 1
            wrong.append(f"{name}: says {verdict}; true is {sorted(must)}")
    for verdict in must:
        if verdict not in said:
            tallies[verdict].missed += 1
            wrong.append(f"{name}: does not say {verdict}; says {sorted(said)}")


def count(subjects):
    tallies, wrong, total = collections.defaultdict(Tally), [], 0
    for s in subjects:
        told = collections.defaultdict(list)
        network = {}
        for record in s.said:
            verdicts = {v["id"]: v["side"] for v in record.get("verdicts", ())}
            if record["type"] == "connection":
                told[frozenset((record["client"], record["server"]))].append((record["first"], verdicts))
            elif record["type"] == "network":
                network.update(verdicts)
        for client, server, t in s.connections:
            total += 1
            queue = sorted(told[frozenset((client, server))], key=lambda x: x[0])
            verdicts = queue[0][1] if queue else {}
            told[frozenset((client, server))] = queue[1:]
            compare(tallies, verdicts, t, wrong, f"{s.name} {client}>{server}")
        for ends, rest in told.items():
            for _, verdicts in rest:
                compare(tallies, verdicts, truth.Truth(), wrong, f"{s.name} {sorted(ends)} (no connection)")
        t = truth.Truth()
        for verdict in s.network:
            t.allow(verdict[:-1]) if verdict.endswith("?") else t.need(verdict)
        compare(tallies, network, t, wrong, f"{s.name} network")
    return tallies, wrong, total


def count_tshark(subjects):
    tallies = collections.defaultdict(Tally)
    for s in subjects:
        tally(tallies["ip-conflict"], bool(s.marks[""] & set(TSHARK["ip-conflict"])), "ip-conflict" in s.network)
        used = collections.Counter()
        for client, server, t in s.connections:
            ends = frozenset((client, server))
            streams = s.streams[ends]
            marks = s.marks[streams[min(used[ends], len(streams) - 1)]] if streams else set()
            used[ends] += 1
            said = {v for v, fields in TSHARK.items() if v != "ip-conflict" and marks & set(fields)}
            must, may = t.settled(said)
            for verdict in TSHARK:
                if verdict != "ip-conflict" and verdict not in may:
                    tally(tallies[verdict], verdict in said, verdict in must)
    return tallies


def tally(t, said, true):
    t.hit += said and true
    t.false += said and not true
    t.missed += true and not said


def overall(tallies):
    t = Tally()
    for other in tallies.values():
        t.hit, t.false, t.missed = t.hit + other.hit, t.false + other.false, t.missed + other.missed
        t.open += other.open
    return t


# ---- Telling ----

def figure(x):
    return "" if x is None else f"{x:.2f}"


def rows(tallies):
    for verdict in sorted(tallies):
        t = tallies[verdict]
        yield verdict, t
    yield "all", overall(tallies)


def print_table(part, tallies, total, files):
    print(f"{part}: {total} connections in {files} captures")
    print(f"  {'verdict':26}{'right':>6}{'wrong':>6}{'missed':>7}{'open':>6}{'precision':>11}{'recall':>8}  side")
    for verdict, t in rows(tallies):
        side = f"{t.side_right}/{t.side_all}" if t.side_all else ""
        print(f"  {verdict:26}{t.hit:6}{t.false:6}{t.missed:7}{t.open:6}{figure(t.precision()):>11}{figure(t.recall()):>8}  {side}")


def below(tallies):
    found = []
    for verdict, t in rows(tallies):
        if verdict != "all" and t.hit + t.missed < FEW:
            continue
        precision, recall, _ = EXCUSED.get(verdict, (LEAST, LEAST, ""))
        if (t.precision() or 0) < precision or (t.recall() or 0) < recall:
            found.append(verdict)
    return found


HEAD = """# How often the doctor is right

Written by `scripts/doctor-score --write docs/doctor-score.md`; do not edit.

`weir doctor` over captures whose truth is known ([tests/doctor](../tests/doctor/README.md) tells how each is made, and what counts as true):
runs of the lab seen from both ends, and Linux's own TCP in namespaces; whole ones, and with cut packets, one direction only, gaps, a late
begin, other link types and file forms. Each verdict of each connection is counted. *Precision*: of those said, how many are true. *Recall*: of those that
are true, how many were said. *Open*: said where it is true but need not be seen from there, or a matter of taste; these count for neither. The *tuned* part was looked at while the doctor was made; of the *held-out* part, the same troubles with other
numbers, only these figures.

Beside it what `tshark` says of the same packets: the fields named, where one of them is set in any packet of the connection, both parts
together. It was made to point at symptoms, not to give verdicts, so this tells how far a symptom alone would lead. A dash: it has no such notion.
"""


def keep_tshark(subjects):
    version = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=True).stdout
    counts = {v: [t.hit, t.false, t.missed] for v, t in sorted(count_tshark(subjects).items())}
    with open(TSHARK_FILE, "w", encoding="utf-8") as f:
        json.dump({"version": re.search(r"[0-9.]*[0-9]", version)[0], "counts": counts}, f, indent=1)
        f.write("\n")


def kept_tshark():
    with open(TSHARK_FILE, encoding="utf-8") as f:
        kept = json.load(f)
    tallies = {}
    for verdict, counts in kept["counts"].items():
        tallies[verdict] = Tally()
        tallies[verdict].hit, tallies[verdict].false, tallies[verdict].missed = counts
    return kept["version"], tallies


def write(path, results):
    there = [p for p in PARTS if p in results]
    version, beside = kept_tshark()
    out = [HEAD]
    for part in there:
        chosen, _, total = results[part]
        out.append(f"{part}: {total} connections in {len(chosen)} captures. ")
    out.append(f"tshark {version}.\n\n")
    columns = "".join(f" {p}: right | wrong | missed | open | precision | recall |" for p in there)
    out.append(f"| verdict |{columns} tshark | precision | recall |\n|---|{'---:|' * 6 * len(there)}---|---:|---:|\n")
    verdicts = sorted({v for p in there for v in results[p][1]})
    for verdict in [*verdicts, "all"]:
        cells = [f"| {'**all**' if verdict == 'all' else '`' + verdict + '`'} |"]
        for part in there:
            t = overall(results[part][1]) if verdict == "all" else results[part][1][verdict]
            cells.append(f" {t.hit} | {t.false} | {t.missed} | {t.open} | {figure(t.precision())} | {figure(t.recall())} |")
        if verdict in TSHARK:
            t = beside[verdict]
            names = ", ".join(f"`{f}`" for f in TSHARK[verdict])
            cells.append(f" {names} | {figure(t.precision())} | {figure(t.recall())} |")
        else:
            cells.append(" — | | |" if verdict != "all" else " | | |")
        out.append("".join(cells) + "\n")
    if EXCUSED:
        out.append("\nBelow 0.95, and why:\n\n")
        out += [f"- `{v}`: {why}\n" for v, (_, _, why) in sorted(EXCUSED.items())]
    with open(path, "w", encoding="utf-8") as f:
        f.write("".join(out))


def main():
    parser = argparse.ArgumentParser(prog="doctor-score")
    parser.add_argument("--part", choices=["tuned", "held-out", "both"], default="both")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write")
    parser.add_argument("--tshark", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep")
    parser.add_argument("--wrong", action="store_true")
    args = parser.parse_args()
    parts = [p for p in PARTS if args.part in (p, "both")]
    with tempfile.TemporaryDirectory() as temporary, concurrent.futures.ThreadPoolExecutor(3 * os.cpu_count()) as pool:
        directory = args.keep or temporary
        os.makedirs(directory, exist_ok=True)
        jobs = [pool.submit(subjects_of, directory, name, f, ways, part, PARTS[part] + k)
                for name, f, ways, n in cases.CASES if args.only in name for part in parts for k in range(n)]
        subjects = [s for job in jobs for s in job.result()]
        subjects += [s for s in kernel_subjects(parts) if args.only in s.name]
        list(pool.map(ask_doctor, subjects))
        if args.tshark:
            list(pool.map(ask_tshark, subjects))
            keep_tshark(subjects)
    failed = []
    results = {}
    for part in parts:
        chosen = [s for s in subjects if s.part == part]
        tallies, wrong, total = count(chosen)
        results[part] = (chosen, tallies, total)
        print_table(part, tallies, total, len(chosen))
        if args.wrong:
            print("\n".join(wrong))
        failed += [f"{part}: {v}" for v in below(tallies)]
    if args.write:
        write(args.write, results)
    if args.check and failed:
        print("too low: " + ", ".join(failed))
    return 1 if args.check and failed else 0


if __name__ == "__main__":
    sys.exit(main())
