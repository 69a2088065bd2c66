"""Goodput of weir against Linux beside Linux against Linux, in real time, over the same impaired link.

  cc.py [--quick] [--cells TEXT] [--out FILE] [-j N]

A cell is a rate, a round trip, a loss in both directions, who sends, and the sender's congestion control. In each
repetition both transfers run at the same time, each over its own copy of the link with the same seed, so that whatever
else the machine does meets both. A cell's ratio is weir's goodput by Linux's, the median of its repetitions.

Needs root (namespaces and TUN devices), tap-peer and tap-bridge beside the weir in $WEIR.
"""
import argparse
import concurrent.futures
import ctypes
import itertools
import math
import os
import selectors
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

BENCH = os.path.join(os.path.dirname(os.environ.get("WEIR", "build/weir")), "bench")
CLONE_NEWNET = 0x40000000
BYTES_ACKED = 120  # the offset of tcpi_bytes_acked in struct tcp_info
SINK, SOURCE = 9, 19
MBIT = 1_000_000
libc = ctypes.CDLL(None, use_errno=True)


def link_of(rate, rtt, loss):
    queue = max(30_000, rate * rtt // 8 // 1000)
    words = f"rate={rate}bit delay={rtt * 500}us queue={queue}b"
    return words + (f" loss={loss}%" if loss else "")


def hurry(program):
    """A link that waits for a processor is another link: what it holds arrives late and in bunches."""
    os.setpriority(os.PRIO_PROCESS, program.pid, -19)


class Namespace:
    """A network namespace, kept by a process that does nothing."""

    def __init__(self):
        self.keeper = subprocess.Popen(["unshare", "-n", "--", "sh", "-c", "echo; exec sleep 3600"],
                                       stdout=subprocess.PIPE)
        self.keeper.stdout.readline()
        self.path = f"/proc/{self.keeper.pid}/ns/net"

    def enter(self):
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        if libc.setns(fd, CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(fd)

    def run(self, *words):
        subprocess.run(["nsenter", f"--net={self.path}", *words], check=True, capture_output=True)

    def close(self):
        self.keeper.kill()
        self.keeper.wait()


def up(ns, device, own):
    ns.run("ip", "link", "set", device, "mtu", "1500", "txqueuelen", "10000", "up")
    ns.run("ip", "addr", "add", own, "dev", device)


class Weir:
    """weir behind its link; the kernel's end is in self.near."""

    def __init__(self, link, seed, cc, blob):
        self.near = Namespace()
        self.program = subprocess.Popen(
            ["nsenter", f"--net={self.near.path}", f"{BENCH}/tap-peer", "-f", blob, "-l", link, "-s", str(seed), "-c",
             cc], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.program.stdout.readline().startswith("ready")
        hurry(self.program)
        up(self.near, "weir0", "10.9.0.1/24")
        self.address = "10.9.0.2"

    def close(self):
        self.program.stdin.close()
        self.program.wait()
        self.near.close()


def serve(ns, address, cc, ready):
    """Linux's end: what comes to SINK is read, who comes to SOURCE is sent zeros. Ends when it is killed."""
    ns.enter()
    listeners = []
    for port in (SINK, SOURCE):
        s = socket.socket()
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, cc.encode())
        s.bind((address, port))
        s.listen(8)
        listeners.append(s)
    os.write(ready, b".")
    picker = selectors.DefaultSelector()
    for s in listeners:
        picker.register(s, selectors.EVENT_READ)
    zeros = bytes(1 << 18)
    while True:
        for key, _ in picker.select():
            s = key.fileobj
            try:
                if s in listeners:
                    c, _ = s.accept()
                    c.setblocking(False)
                    picker.register(c, selectors.EVENT_READ if s is listeners[0] else selectors.EVENT_WRITE)
                elif key.events == selectors.EVENT_READ:
                    if not s.recv(1 << 18):
                        picker.unregister(s)
                        s.close()
                else:
                    s.send(zeros)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError:
                picker.unregister(s)
                s.close()


class Linux:
    """The kernel at both ends of a bridge."""

    def __init__(self, link, seed, cc):
        self.near, self.far = Namespace(), Namespace()
        self.program = subprocess.Popen([f"{BENCH}/tap-bridge", self.near.path, self.far.path, link, str(seed)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.program.stdout.readline() == "ready\n"
        hurry(self.program)
        up(self.near, "near0", "10.9.0.1/24")
        up(self.far, "far0", "10.9.0.2/24")
        self.address = "10.9.0.2"
        told, ready = os.pipe()
        self.server = os.fork()
        if self.server == 0:
            try:
                serve(self.far, self.address, cc, ready)
            finally:
                os._exit(1)
        os.close(ready)
        assert os.read(told, 1) == b"."
        os.close(told)

    def close(self):
        os.kill(self.server, signal.SIGKILL)
        os.waitpid(self.server, 0)
        self.program.stdin.close()
        self.program.wait()
        self.near.close()
        self.far.close()


def transfer(ns, address, upload, cc, seconds):
    """Bits per second of a connection from this namespace in so much time, its handshake included."""
    ns.enter()
    s = socket.socket()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, cc.encode())
    began = time.monotonic()
    ends = began + seconds
    s.settimeout(seconds)
    s.connect((address, SINK if upload else SOURCE))
    zeros, got = bytes(1 << 18), 0
    try:
        while (left := ends - time.monotonic()) > 0:
            s.settimeout(left)
            if upload:
                s.send(zeros)
            else:
                got += len(s.recv(1 << 20))
    except TimeoutError:
        pass
    if upload:
        info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        got = struct.unpack_from("=Q", info, BYTES_ACKED)[0]
    took = time.monotonic() - began
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    return got * 8 / took


def forked(*args):
    """transfer in a process of its own: it changes its namespace. Returns (pid, where the figure comes)."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        figure = 0.0
        try:
            os.close(told)
            figure = transfer(*args)
        except OSError as e:
            print(f"transfer: {e}", file=sys.stderr)
        finally:
            os.write(tell, struct.pack("d", figure))
            os._exit(0)
    os.close(tell)
    return pid, told


def reap(pid, told):
    data = os.read(told, 8)
    os.close(told)
    os.waitpid(pid, 0)
    return struct.unpack("d", data)[0] if len(data) == 8 else 0.0


def side_by_side(cell, seed, seconds, blob):
    rate, rtt, loss, direction, cc = cell
    link = link_of(rate, rtt, loss)
    ends = [Weir(link, seed, cc, blob), Linux(link, seed, cc)]
    upload = direction == "to weir"
    running = [forked(e.near, e.address, upload, cc, seconds) for e in ends]
    figures = [reap(*r) for r in running]
    for e in reversed(ends):  # Linux's server was forked last, and has the pipes to all programs before it
        e.close()
    return figures


def measure(job):
    """In a process of its own, so that forks and descriptors of cells don't meet."""
    cell, repetitions, seconds, blob = job
    pairs = [side_by_side(cell, seed, seconds, blob) for seed in range(1, repetitions + 1)]
    ratios = [w / max(l, 1) for w, l in pairs]
    return cell, statistics.median(w for w, _ in pairs), statistics.median(l for _, l in pairs), \
        statistics.median(ratios)


def cells_of(quick):
    rates = [10 * MBIT, 50 * MBIT] if quick else [1 * MBIT, 10 * MBIT, 100 * MBIT]
    rtts = [10, 100] if quick else [10, 50, 200]
    losses = [0, 1] if quick else [0, 0.1, 1, 3]
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control") as f:
        there = f.read().split()
    ccs = [c for c in ("reno", "cubic", "bbr") if c in there]
    return list(itertools.product(rates, rtts, losses, ("from weir", "to weir"), ccs))


def name_of(cell):
    rate, rtt, loss, direction, cc = cell
    return f"{rate // MBIT} Mbit/s, {rtt} ms, loss {loss} %, {direction}, {cc}"


HEAD = """# weir beside Linux over the same link

Goodput in Mbit/s, in real time, of weir against this machine's Linux {release} and of that Linux against itself, each over a TUN
device and the same impaired link (`bench/tap_link.c`: same words, same seed; queue of one bandwidth-delay product, 30 kB at
least; loss in both directions). Both transfers of a repetition run at the same time. "from weir" is weir's sender into Linux's
receiver, "to weir" the reverse; the sender's congestion control is named. {seconds} s each, median of {repetitions}, the
handshake included. `make bench-cc` writes this page{variant}.

A cell below 0.9 is, again and again, only one of "from weir, bbr" with 3 % of loss (not in the quick variant). Linux's bbr is version 1,
which takes no loss for congestion and goes on at the rate that it has measured, whoever else is there; weir's is version 3, whose
bounds come down when a round loses more than 2 %: with 3 % at random that is every long round. Reno and CUBIC are the same on both,
packet for packet, until a real machine's delays part them; a single cell of theirs that is far from 1 in one run is another packet lost, not a habit.

| rate | round trip | loss | direction | controller | weir | Linux | ratio |
|---|---|---|---|---|---:|---:|---:|
"""


def write_page(path, results, geomean, args):
    variant = "; this is its quick variant, `make bench-cc QUICK=1`" if args.quick else ""
    with open(path, "w") as f:
        f.write(HEAD.format(release=".".join(os.uname().release.split(".")[:2]), seconds=args.seconds,
                            repetitions=args.repetitions, variant=variant))
        for (rate, rtt, loss, direction, cc), w, l, r in results:
            f.write(f"| {rate // MBIT} Mbit/s | {rtt} ms | {loss} % | {direction} | {cc} | {w / 1e6:.2f} "
                    f"| {l / 1e6:.2f} | {r:.2f} |\n")
        f.write(f"\nGeometric mean of the ratios: **{geomean:.2f}**.\n")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--quick", action="store_true")
    p.add_argument("--cells", default="", help="only those whose name has this text; several with |")
    p.add_argument("--out")
    p.add_argument("--seconds", type=float)
    p.add_argument("--repetitions", type=int)
    p.add_argument("-j", type=int, default=4, help="cells at a time")
    args = p.parse_args()
    args.seconds = args.seconds or (5 if args.quick else 15)
    args.repetitions = args.repetitions or 3
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        print("skip: needs root and /dev/net/tun")
        return 0
    cells = [c for c in cells_of(args.quick) if any(t in name_of(c) for t in args.cells.split("|"))]
    if not cells:
        print(f"cc.py: no cell's name has {args.cells!r} in it; they are named like {name_of(cells_of(args.quick)[0])!r}",
              file=sys.stderr)
        return 2
    results = []
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ProcessPoolExecutor(args.j) as pool:
        blob = f"{folder}/zeros"
        with open(blob, "wb") as f:
            f.truncate(1 << 31)
        for result in pool.map(measure, [(c, args.repetitions, args.seconds, blob) for c in cells]):
            cell, w, l, r = result
            results.append(result)
            print(f"{name_of(cell):52} weir {w / 1e6:7.2f}  Linux {l / 1e6:7.2f}  ratio {r:5.2f}"
                  f"{'  !' if r < 0.9 else ''}", flush=True)
    geomean = math.exp(statistics.fmean(math.log(max(r, 1e-3)) for _, _, _, r in results))
    print(f"{len(results)} cells, {sum(r < 0.9 for *_, r in results)} below 0.9; geometric mean {geomean:.3f}")
    if args.out:
        write_page(args.out, results, geomean, args)
    return 0 if geomean >= 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
