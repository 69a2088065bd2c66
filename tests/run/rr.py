"""weir rr with weir on a TAP device at one end and the kernel at the other. Run in a network namespace."""

import json
import signal
import socket
import subprocess
import sys
import time

WEIR = sys.argv[1]
KERNEL, HERE = "10.9.0.1", "10.9.0.2"
DEVICE = ["--dev", "tap:weir0", "--address", HERE + "/24"]
HELLO = b"weir-rr1"


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def equal(what, got, wanted):
    if got != wanted:
        raise SystemExit(f"FAILED: {what}: got {got!r}, wanted {wanted!r}")


def check(what, holds):
    if not holds:
        raise SystemExit(f"FAILED: {what}")


def start(*words):
    return subprocess.Popen([WEIR, "rr", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(p, status=0):
    out, err = p.communicate(timeout=60)
    if p.returncode != status:
        raise SystemExit(f"FAILED: {p.args}: exit {p.returncode}, not {status}:\n{out}{err}")
    return out, err


def serve(*words):
    p = start("-s", *words)
    line = p.stdout.readline()
    check(f"serving: {line}{'' if line else p.stderr.read()}", "serving at port" in line)
    return p


def started(*words):
    """A client that has begun to measure."""
    p = start(*words)
    line = p.stdout.readline()
    check(f"started: {line}{'' if line else p.stderr.read()}", " over " in line)
    return p


def measure(host, ours, words):
    """One test; what it says has to hold together."""
    out, _ = finish(start("-c", host, "-J", *ours, *words))
    r = json.loads(out)
    us = r["latency_us"]
    order = [us[name] for name in ("min", "p50", "p90", "p99", "p99.9", "max")]
    equal(f"{words}: in order", order, sorted(order))
    check(f"{words}: min and mean", 0 < us["min"] <= us["mean"] <= us["max"])
    rate = r["transactions"] / r["seconds"]
    check(f"{words}: the rate", abs(r["transactions_per_second"] - rate) <= rate / 1000)
    if "-n" in words:
        equal(f"{words}: transactions", r["transactions"], int(words[words.index("-n") + 1]))
    check(f"{words}: some", r["transactions"] > 0)
    equal(f"{words}: test", r["test"], "crr" if "--crr" in words else "rr")
    return r


TESTS = (
    ["-n", "500"],
    ["-n", "2000", "-P", "32"],
    ["-n", "300", "--crr"],
    ["-n", "1000", "--crr", "-P", "16"],
    ["-n", "50", "--request", "1", "--response", "1"],
    ["-n", "50", "--request", "1m", "--response", "300k", "-P", "3"],
    ["-n", "40", "--crr", "--request", "100k", "--response", "200k", "-P", "2"],
    ["-n", "1000", "-P", "300"],
    ["-t", "0.5"],
    ["-t", "0.5", "--crr", "-P", "4"],
)


def both_directions():
    for server_words, host, client_words in (
        (["--kernel"], KERNEL, DEVICE),
        (DEVICE, HERE, ["--kernel"]),
        (["--kernel"], "127.0.0.1", ["--kernel"]),
    ):
        server = serve(*server_words)
        for words in TESTS:
            measure(host, client_words, words)
        server.send_signal(signal.SIGINT)
        finish(server)
    server = serve("-1", "--kernel")
    out, _ = finish(start("-c", KERNEL, *DEVICE, "-n", "10"))
    check(f"as text: {out}", "transactions  10 in" in out and "p99.9" in out)
    finish(server)


def endings():
    _, err = finish(start("-c", KERNEL, *DEVICE), 1)
    check(f"refused: {err}", "unable to connect to server: Connection refused" in err)

    # Ctrl-C at the client: what there is so far. At the server: the client knows.
    server = serve("--kernel")
    client = started("-c", KERNEL, *DEVICE, "-t", "60")
    client.send_signal(signal.SIGINT)
    out, err = finish(client, 1)
    check(f"so far: {out}{err}", "transactions" in out and "interrupted" in err)
    client = started("-c", KERNEL, *DEVICE, "-t", "60")
    server.send_signal(signal.SIGINT)
    finish(server)
    out, err = finish(client, 1)
    check(f"the server has gone: {out}{err}", "transactions" in out and err.count("\n") == 1)

    server = serve(*DEVICE)
    client = started("-c", HERE, "--kernel", "-t", "60", "--crr")
    server.send_signal(signal.SIGINT)
    finish(server)
    finish(client, 1)

    # The port in use, and a server that is something else.
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = str(s.getsockname()[1])
        _, err = finish(start("-s", "--kernel", "-p", port), 1)
        check(f"in use: {err}", "Address already in use" in err)
        client = start("-c", "127.0.0.1", "--kernel", "-p", port)
        c, _ = s.accept()
        equal("the hello", c.recv(20), HELLO + (1).to_bytes(4, "big") + bytes(8))
        c.sendall(b"no")
        _, err = finish(client, 1)
        check(f"something else: {err}", "is it a weir rr?" in err)
        c.close()


def strangers():
    """A server ends connections that make no sense, and goes on."""
    server = serve("--kernel")
    one = (1).to_bytes(4, "big")
    for line in (
        b"GET / HTTP/1.0\r\nHost: here\r\n\r\n",
        HELLO + (9).to_bytes(4, "big") + one + one,
        HELLO + (2).to_bytes(4, "big") + b"\xff\xff\xff\xff" + one,
        HELLO + (2).to_bytes(4, "big") + (2).to_bytes(4, "big") + one + b"ab",
        HELLO + (1).to_bytes(4, "big") + bytes(8) + b"and more",
    ):
        with socket.create_connection(("127.0.0.1", 5202), timeout=10) as s:
            s.sendall(line)
            try:
                check(f"no answer to {line}", s.recv(16) in (b"", b"K"))
                equal("and the end", s.recv(16), b"")
            except ConnectionResetError:
                pass
    with socket.create_connection(("127.0.0.1", 5202), timeout=10) as s:
        s.sendall(HELLO + (2).to_bytes(4, "big") + (3).to_bytes(4, "big") + (5).to_bytes(4, "big") + b"x")
        s.sendall(b"xx")
        got = b""
        while len(got) < 5:
            got += s.recv(5 - len(got)) or b"!"
        equal("the response", got, b"xxxxx")
    measure("127.0.0.1", ["--kernel"], ["-n", "10"])
    server.send_signal(signal.SIGINT)
    finish(server)


def main():
    ip("link", "set", "lo", "up")
    ip("tuntap", "add", "dev", "weir0", "mode", "tap")
    ip("addr", "add", KERNEL + "/24", "dev", "weir0")
    ip("link", "set", "weir0", "up")
    for f in (both_directions, endings, strangers):
        began = time.monotonic()
        f()
        print(f"{f.__name__}: {time.monotonic() - began:.1f} s", flush=True)


main()
