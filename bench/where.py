#!/usr/bin/env python3
"""
Where the time of the rows goes: their instructions by what they are for, and what the machine could do at most.

  bench/where.py [--write docs/performance.md]

Needs build/bench/bench-stacks and build/bench/bench-limit (`ninja -C build benches`) and valgrind. callgrind counts what
bench_work calls, both ends; each instruction counts for the source line that it was compiled from, so functions that the
compiler has merged are told apart by their files. A copy by the C library counts for the file that asks for it. --write
puts the tables between the marks in the page (there are two pairs: for bytes, and for requests); without it they are
printed.
"""
import argparse
import collections
import re
import sys
import tempfile

import report

LIMIT = "build/bench/bench-limit"
MARKS = ("<!-- bench/where.py: from here -->", "<!-- bench/where.py: to here -->")
REQUEST_MARKS = ("<!-- bench/where.py: requests from here -->", "<!-- bench/where.py: requests to here -->")

# What a file's instructions are for: the first pattern that fits "file function". Those of a copy: "copy file".
PARTS = [
    ("payload: copied from the program", r"^copy .*tcp/sndq\.c"),
    ("payload: copied and summed at once (super: from the program; else onto the wire)", r"base/checksum\S* copy_"),
    ("payload: summed by the receiver", r"base/checksum\S* sum_(avx2|128)"),
    ("payload: copied to the program", r"^copy .*tcp/(rcvq|rcvchunk)\.c"),
    ("each frame: its headers written (`net/offload.c`)", r"net/offload\.c"),
    ("each frame: its headers read, and merged (`net/gro.c`)", r"net/gro\.c"),
    ("headers' sums", r"base/checksum"),
    ("packets and blocks: made, viewed, let go", r"base/(pkt|slab|alloc)\.[ch]|malloc|memset"),
    ("send queue", r"tcp/sndq\.c"),
    ("receive queue", r"tcp/(rcvq|rcvchunk)\.[ch]"),
    ("TCP, what else it does", r"src/tcp/"),
    ("IP, interfaces, header codecs", r"src/(net|wire)/"),
    ("sockets and the stack's frame", r"src/(sock|udp|weir\.c)"),
    ("lists, trees, timers, hashes, byte order", r"src/base/"),
    ("harness", r"bench/"),
]
WORKS = [
    ("bulk", "1,460-byte segments", "--work bulk --count 20000"),
    ("bulk-super", "super-segments", "--work bulk-super --count 60000"),
]

# The same for requests, where what is done for a segment counts and its bytes don't.
REQUEST_PARTS = [
    ("bytes: copied and summed", r"^copy |base/checksum"),
    ("frames: written, cut, summed (`net/offload.c`)", r"net/offload\.c"),
    ("IP and TCP headers: read and written (`wire/`)", r"src/wire/"),
    ("IP: judged, routed, sent; interfaces", r"src/net/(?!ports|route|ifaddr)"),
    ("whose it is: hash, tables (`tcp/demux.c`)", r"tcp/demux\.c|base/(siphash|htable)"),
    ("acknowledgements: RTT, loss, rate, congestion control", r"tcp/(ack|recovery|rtt|rate|rack|cc_\w+|cwnd|hystart|pace|sack|ecn|accecn)\.[ch]"),
    ("what may be sent, and the segment's making", r"tcp/(output|segment|mss|mtup|send)\.[ch]"),
    ("when to acknowledge, and with which window", r"tcp/(ackpol|window)\.c"),
    ("the order of RFC 9293 3.10.7, states", r"tcp/(input|state|input_syn)\.c"),
    ("send queue", r"tcp/sndq\.c"),
    ("receive queue", r"tcp/(rcvq|rcvchunk)\.[ch]"),
    ("timers", r"tcp/timers\.c|base/timer"),
    ("the ledger and the clocks of TCP_INFO", r"tcp/(ledger|chrono|notice|event)\.[ch]"),
    ("connections: made, accepted, named, ended", r"src/tcp/|net/(ports|route|ifaddr)"),
    ("packets, blocks, records: made and let go", r"base/(pkt|slab|alloc)\.[ch]|malloc|memset"),
    ("sockets, handles, the stack's frame", r"src/(sock|udp|weir\.c)"),
    ("lists, trees, sequence numbers, byte order", r"src/base/"),
    ("harness", r"bench/"),
]
REQUEST_WORKS = [
    ("rr", "a request and its response", "--work rr --count 20000"),
    ("crr", "a connection for it", "--work crr --count 5000"),
]


class Profile:
    """callgrind's file format: costs by line, names told once, calls with what they cost all in all."""

    def __init__(self, text):
        self.names = {}
        self.self_cost = collections.Counter()  # (file, function)
        self.copies = collections.Counter()  # file that calls a copy: its cost
        self.read(text)

    def name(self, kind, value):
        number, _, told = value.partition(" ")
        if told:
            self.names[kind, number] = told
        return self.names[kind, number]

    def read(self, text):
        file = function = callee = ""
        is_call = False
        for line in text.splitlines():
            if m := re.match(r"(c?)(fl|fi|fe|fn|ob)=(.*)", line):
                called, key, value = m.groups()
                told = self.name({"fn": "function", "ob": "object"}.get(key, "file"), value)
                if key == "fn" and called:
                    callee = told
                elif key == "fn":
                    function = told
                elif not called and key != "ob":
                    file = told
            elif line.startswith("cfi=") or line.startswith("cfl="):
                self.name("file", line[4:])
            elif line.startswith("calls="):
                is_call = True
            elif m := re.match(r"(?:\+\d+|-\d+|\*|\d+) (\d+)$", line):
                cost = int(m.group(1))
                if not is_call:
                    self.self_cost[file, function] += cost
                elif is_copy(callee):
                    self.copies[file] += cost
                is_call = False


def is_copy(function):
    return re.search(r"mem(cpy|move)", function) is not None


def part_of(key, kinds):
    for name, pattern in kinds:
        if re.search(pattern, key):
            return name
    return "else"


def parts_of(profile, kinds):
    parts = collections.Counter()
    for (file, function), cost in profile.self_cost.items():
        if not is_copy(function):
            parts[part_of(f"{file} {function}", kinds)] += cost
    for file, cost in profile.copies.items():
        parts[part_of(f"copy {file}", kinds)] += cost
    return parts


def count(options, kinds):
    """Instructions a unit, by part."""
    with tempfile.NamedTemporaryFile() as out:
        text, _ = report.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", "--instr-atstart=no",
             "--toggle-collect=bench_work*", report.STACKS, "--stack", "weir"] + report.words(options),
            report.COUNTING,
        )
        with open(out.name, encoding="utf-8") as profile:
            parts = parts_of(Profile(profile.read()), kinds)
    units = float(re.search(r"units=(\d+)", text).group(1))
    return {name: cost / units for name, cost in parts.items()}


def table_of_parts(head, works, kinds):
    counts = [count(options, kinds) for _, _, options in works]
    lines = [f"| {head} | " + " | ".join(title for _, title, _ in works) + " |", "|---|" + "---|" * len(works)]
    for name in [name for name, _ in kinds] + ["else"]:
        cells = [f"{c.get(name, 0):,.0f}" for c in counts]
        if any(c.get(name, 0) >= 0.5 for c in counts):
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines.append("| all | " + " | ".join(f"{sum(c.values()):,.0f}" for c in counts) + " |")
    return lines


def table_of_limits():
    rates = {}
    lines = ["| in cache, one core | 64 KiB at a time, GB/s | 1,448 bytes at a time, GB/s |", "|---|---|---|"]
    for line in report.run([LIMIT])[0].splitlines():
        name, runs, pieces = line.split("\t")
        rates[name] = float(runs), float(pieces)
        lines.append(f"| {name} | {runs} | {pieces} |")
    wire = 1 / rates["memcpy"][0] + 1 / rates["copy and sum"][1] + 1 / rates["sum"][1] + 1 / rates["memcpy"][1]
    by_reference = 1 / rates["copy and sum"][0] + 1 / rates["memcpy"][0]
    lines += ["", "With nothing but that: "
              f"{8 / wire:.0f} Gbit/s in 1,460-byte segments (a copy in, a copy with its sum across, a sum at the receiver, a copy out), "
              f"{8 / by_reference:.0f} Gbit/s in super-segments (a copy with its sum in, a copy out)."]
    return lines


def put(page, marks, text):
    """Between the marks of the page."""
    with open(page, encoding="utf-8") as f:
        before, mark, rest = f.read().partition(marks[0])
    after = rest.partition(marks[1])[2]
    if not mark or not after:
        sys.exit(f"where: {page} lacks the marks {marks[0]} and {marks[1]}")
    with open(page, "w", encoding="utf-8") as f:
        f.write(f"{before}{marks[0]}\n{text}\n{marks[1]}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--write", metavar="PAGE", help="put the tables between the marks of this page")
    page = parser.parse_args().write
    try:
        of_bytes = table_of_parts("instructions for 1,460 bytes", WORKS, PARTS) + [""] + table_of_limits()
        of_requests = table_of_parts("instructions, both ends", REQUEST_WORKS, REQUEST_PARTS)
    except report.Failed as e:
        sys.exit(f"where: {e}")
    for marks, lines in ((MARKS, of_bytes), (REQUEST_MARKS, of_requests)):
        text = "\n".join(lines)
        if page:
            put(page, marks, text)
        else:
            print(text)


if __name__ == "__main__":
    main()
