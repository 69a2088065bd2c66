"""weir rr -s --shards 2 on a multi-queue TAP, a fanout group and an AF_XDP queue. Run in a network namespace."""

import json
import re
import signal
import subprocess
import sys
import time

WEIR = sys.argv[1]
KERNEL, HERE, KERNEL6, HERE6 = "10.9.0.1", "10.9.0.2", "fd09::1", "fd09::2"
ADDRESSES = ["--address", HERE + "/24", "--address", HERE6 + "/64"]


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def check(what, holds):
    if not holds:
        raise SystemExit(f"FAILED: {what}")


def equal(what, got, wanted):
    check(f"{what}: got {got!r}, wanted {wanted!r}", got == wanted)


def serve(device, *words):
    p = subprocess.Popen([WEIR, "rr", "-s", "--shards", "2", "--dev", device, *ADDRESSES, *words],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = p.stdout.readline()
    check(f"serving: {line}{'' if line else p.stderr.read()}", "serving at port" in line)
    return p


def finish(p, status=0):
    out, err = p.communicate(timeout=60)
    check(f"{p.args}: exit {p.returncode}, not {status}:\n{out}{err}", p.returncode == status)
    return out, err


def shards_of(out):
    """What each shard's line says: connections, packets in, from others, passed on, lost."""
    lines = re.findall(r"^shard \d+ +(\d+) connections +(\d+) packets in +(\d+) of them from other shards +(\d+) passed on +(\d+) lost$", out, re.M)
    equal(f"two lines in {out}", len(lines), 2)
    return [list(map(int, line)) for line in lines]


def measure(host, *words):
    """All bytes are compared at both ends. Returns how many connections it makes."""
    r = subprocess.run([WEIR, "rr", "-c", host, "--kernel", "-J", *words], capture_output=True, text=True, timeout=60, check=False)
    check(f"{words}: {r.stdout}{r.stderr}", r.returncode == 0)
    j = json.loads(r.stdout)
    n = int(words[words.index("-n") + 1])
    equal(f"{words}: transactions", j["transactions"], n)
    return 1 + (n if "--crr" in words else int(words[words.index("-P") + 1]))


def both_serve(device):
    """Many connections to a server of two shards: each has its part of them, and every request its answer."""
    server = serve(device)
    made = 0
    for host in (HERE, HERE6):
        made += measure(host, "-n", "4000", "-P", "200")
        made += measure(host, "-n", "600", "--crr", "-P", "16")
        made += measure(host, "-n", "40", "-P", "8", "--request", "300k", "--response", "1m")
        # Echoes of one packet and of fragments: the shard that the addresses name, whichever that is.
        for size in ("56", "5000"):
            subprocess.run(["ping", "-n", "-c", "2", "-i", "0.2", "-W", "5", "-s", size, host], check=True, stdout=subprocess.DEVNULL)
    server.send_signal(signal.SIGINT)
    out, _ = finish(server)
    a, b = shards_of(out)
    # At its end --crr leaves those that it has begun beyond what was asked for: 16, and that twice.
    check(f"{device}: connections: {made}: {out}", made <= a[0] + b[0] <= made + 32)
    for s in (a, b):
        check(f"{device}: spread: {out}", s[0] > made // 4)
    if "queues chosen by our hash" in out:  # what is passed on is for all, or an echo's fragments
        check(f"{device}: steered: {out}", a[3] + b[3] < 200)
    print(f"{device}: {out}", end="", flush=True)
    return a, b


def tap():
    ip("tuntap", "add", "dev", "weir0", "mode", "tap", "multi_queue")
    ip("addr", "add", KERNEL + "/24", "dev", "weir0")
    ip("addr", "add", KERNEL6 + "/64", "dev", "weir0", "nodad")
    ip("link", "set", "weir0", "up")
    both_serve("tap:weir0")
    ip("link", "del", "weir0")


def veth():
    ip("link", "add", "near", "type", "veth", "peer", "name", "far")
    ip("addr", "add", KERNEL + "/24", "dev", "near")
    ip("addr", "add", KERNEL6 + "/64", "dev", "near", "nodad")
    ip("link", "set", "near", "up")
    ip("link", "set", "far", "up")
    both_serve("packet:far")
    r = subprocess.run([WEIR, "rr", "-s", "--dev", "xdp:lo", "--address", "10.0.0.1/8"], capture_output=True, text=True, timeout=60, check=False)
    if "not in this build" not in r.stderr:
        # One queue for two shards: the second one receives and sends over rings alone.
        a, b = both_serve("xdp:far,queues=1")
        check("the second shard has only what was passed to it", b[1] == b[2])
    ip("link", "del", "near")


def endings():
    ip("tuntap", "add", "dev", "weir0", "mode", "tap", "multi_queue")
    ip("addr", "add", KERNEL + "/24", "dev", "weir0")
    ip("link", "set", "weir0", "up")
    server = serve("tap:weir0", "-1")  # the end of the one test is the end of both shards
    measure(HERE, "-n", "100", "-P", "20")
    finish(server)
    one = subprocess.Popen([WEIR, "rr", "-s", "--shards", "2", "--dev", "tap:weir0,queues=3", *ADDRESSES],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _, err = finish(one, 1)
    check(f"too many queues: {err}", "more queues than stacks" in err)
    ip("link", "del", "weir0")


def main():
    ip("link", "set", "lo", "up")
    for f in (tap, veth, endings):
        began = time.monotonic()
        f()
        print(f"{f.__name__}: {time.monotonic() - began:.1f} s", flush=True)


main()
