"""weir iperf beside iperf3: weir on a TAP device, iperf3 on the kernel's side of it. Run in a network namespace."""

import json
import signal
import socket
import subprocess
import sys
import time

WEIR = sys.argv[1]
KERNEL, HERE = "10.9.0.1", "10.9.0.2"
DEVICE = ["--dev", "tap:weir0", "--address", HERE + "/24"]


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def equal(what, got, wanted):
    if got != wanted:
        raise SystemExit(f"FAILED: {what}: got {got!r}, wanted {wanted!r}")


def check(what, holds):
    if not holds:
        raise SystemExit(f"FAILED: {what}")


def take(s, n):
    """So many bytes of a socket."""
    got = b""
    while len(got) < n:
        more = s.recv(n - len(got))
        if not more:
            break
        got += more
    return got


def start(*words):
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(p, status=0):
    out, err = p.communicate(timeout=60)
    if p.returncode != status:
        raise SystemExit(f"FAILED: {p.args}: exit {p.returncode}, not {status}:\n{out}{err}")
    return out, err


def kernel_listens(port):
    for _ in range(200):
        with open("/proc/net/tcp6") as a, open("/proc/net/tcp") as b:
            if any(f":{port:04X} " in line and " 0A " in line for line in [*a, *b]):
                return
        time.sleep(0.05)
    raise SystemExit(f"FAILED: nobody listens at port {port}")


def weir_is_up(p):
    """A server of weir's says so; its output is what comes after that."""
    for _ in range(3):
        p.stdout.readline()


def weir_has_device():
    """A server of weir's that says nothing has the device open; then it listens in a moment, or refuses until then."""
    for _ in range(200):
        link = subprocess.run(["ip", "-o", "link", "show", "weir0"], capture_output=True, text=True, check=True).stdout
        if "LOWER_UP" in link:
            return
        time.sleep(0.05)
    raise SystemExit("FAILED: weir does not open its device")


def iperf3_to_weir(*words):
    weir_has_device()
    for _ in range(100):
        out, _ = start("iperf3", "-c", HERE, "-J", *words).communicate(timeout=60)
        report = json.loads(out)
        if "unable to connect" not in report.get("error", ""):
            return report
        time.sleep(0.1)
    raise SystemExit("FAILED: weir does not listen")


def sums(report):
    end = report["end"]
    return end["sum_sent"], end["sum_received"]


def agree(client, server, words):
    """The two reports are of one test: structure, and bytes that fit together."""
    for r in (client, server):
        check(f"{words}: no error: {r.get('error')}", "error" not in r)
        for name in ("connected", "version", "system_info", "timestamp", "cookie", "test_start"):
            check(f"{words}: start has {name}", name in r["start"])
        for name in ("streams", "sum_sent", "sum_received", "cpu_utilization_percent"):
            check(f"{words}: end has {name}", name in r["end"])
    equal(f"{words}: cookie", client["start"]["cookie"], server["start"]["cookie"])
    sent, received = sums(client)
    reverse = "-R" in words
    check(f"{words}: bytes moved", received["bytes"] > 0)
    if "-O" not in words: # else what was on its way when the count began
        check(f"{words}: not more arrived than was sent", received["bytes"] <= sent["bytes"])
    check(f"{words}: retransmits are told", "retransmits" in sent)
    # Each end knows for certain what it counted itself, and the client has the other's word for the rest.
    mine, theirs = (received, sent) if reverse else (sent, received)
    server_own = sums(server)[0 if reverse else 1]["bytes"]
    equal(f"{words}: the server's count", theirs["bytes"], server_own)
    parallel = client["start"]["test_start"]["num_streams"]
    equal(f"{words}: streams", len(client["end"]["streams"]), parallel)
    equal(f"{words}: streams connected", len(client["start"]["connected"]), parallel)
    side = "receiver" if reverse else "sender"
    equal(f"{words}: the sum is of the streams", sum(s[side]["bytes"] for s in client["end"]["streams"]), mine["bytes"])
    told = sum(i["sum"]["bytes"] for i in client["intervals"] if not i["sum"]["omitted"])
    check(f"{words}: intervals add up", told <= mine["bytes"] and (told == mine["bytes"] or "-O" in words))


def against_server(words):
    """weir is the client of iperf3."""
    server = start("iperf3", "-s", "-1", "-J")
    kernel_listens(5201)
    out, _ = finish(start(WEIR, "iperf", "-c", KERNEL, "-J", *DEVICE, *words))
    theirs, _ = finish(server)
    report = json.loads(out)
    agree(report, json.loads(theirs), words)
    return report


def against_client(words):
    """iperf3 is the client of weir."""
    server = start(WEIR, "iperf", "-s", "-1", "-J", *DEVICE)
    report = iperf3_to_weir(*words)
    mine, _ = finish(server)
    agree(report, json.loads(mine), words)
    return report


def transfers():
    # -n 20m: every byte is counted. iperf3 does not read on when the client says that it was all, and may send a block
    # more than that.
    report = against_server(["-n", "20m"])
    equal("weir sends 20 MB", sums(report)[0]["bytes"], 20 << 20)
    check("TCP_INFO is told", report["end"]["sender_tcp_info"][0]["snd_mss"] > 500)
    against_server(["-t", "1", "-i", "0.3"])
    report = against_server(["-n", "20m", "-R"])
    check("weir receives 20 MB", sums(report)[1]["bytes"] >= 20 << 20)
    against_server(["-t", "1", "-P", "4", "-C", "reno", "-N"])
    against_server(["-t", "1", "-P", "4", "-R", "-l", "9000"])
    report = against_server(["-n", "20m", "-Z", "-P", "2"])
    equal("weir lends 20 MB", sums(report)[0]["bytes"], 20 << 20)
    report = against_server(["-t", "1", "-O", "1"])
    check("what is omitted is told", report["intervals"][0]["sum"]["omitted"])
    report = against_server(["-n", "2m", "-M", "1000"])
    check("-M", report["end"]["sender_tcp_info"][0]["snd_mss"] <= 1000)
    report = against_server(["-t", "1", "-b", "8m"])
    check("-b", sums(report)[0]["bytes"] <= 1000000 * sums(report)[0]["seconds"] + 2 * 131072)

    report = against_client(["-n", "20M"])
    check("weir receives 20 MB", sums(report)[1]["bytes"] >= 20 << 20)
    against_client(["-t", "1", "-i", "0.3"])
    against_client(["-n", "20M", "-R"])
    against_client(["-t", "1", "-P", "4", "-C", "reno", "-N"])
    against_client(["-t", "1", "-P", "4", "-R", "-M", "1000"])
    report = against_client(["-t", "1", "-R", "-b", "8M"])
    check("-b of a client", sums(report)[0]["bytes"] <= 1000000 * sums(report)[0]["seconds"] + 2 * 131072)


def both_ways():
    server = start("iperf3", "-s", "-1", "-J")
    kernel_listens(5201)
    out, _ = finish(start(WEIR, "iperf", "-c", KERNEL, "-J", "-t", "1", "--bidir", "-P", "2", *DEVICE))
    finish(server)
    end = json.loads(out)["end"]
    for name in ("sum_sent", "sum_received", "sum_sent_bidir_reverse", "sum_received_bidir_reverse"):
        check(f"--bidir: {name}", end[name]["bytes"] > 0)
    equal("--bidir: who sends", [s["sender"]["sender"] for s in end["streams"]], [True, True, False, False])

    server = start(WEIR, "iperf", "-s", "-1", "-J", *DEVICE)
    report = iperf3_to_weir("-t", "1", "--bidir", "-P", "2")
    finish(server)
    equal("--bidir of iperf3", len(report["end"]["streams"]), 4)


def elsewhere():
    """The same over IPv6, and through a router."""
    device = ["--dev", "tap:weir0", "--address", "fd09::2/64"]
    server = start("iperf3", "-s", "-1", "-J")
    kernel_listens(5201)
    out, _ = finish(start(WEIR, "iperf", "-c", "fd09::1", "-J", "-n", "2m", "-S", "16", *device))
    theirs, _ = finish(server)
    agree(json.loads(out), json.loads(theirs), [])
    equal("whom", json.loads(out)["start"]["connected"][0]["remote_host"], "fd09::1")
    server = start("iperf3", "-s", "-1", "-J")
    kernel_listens(5201)
    device = ["--dev", "tap:weir0", "--address", "10.9.0.2/24", "--gateway", KERNEL]
    out, _ = finish(start(WEIR, "iperf", "-c", "10.77.0.1", "-J", "-n", "2m", *device))
    theirs, _ = finish(server)
    agree(json.loads(out), json.loads(theirs), [])


def over_the_kernel():
    """Both ends are weir's program over the kernel's sockets."""
    for words in ([], ["-Z"]):
        server = start(WEIR, "iperf", "-s", "-1", "-J", "--kernel")
        kernel_listens(5201)
        out, _ = finish(start(WEIR, "iperf", "-c", "127.0.0.1", "-J", "--kernel", "-n", "20m", "-P", "2", *words))
        theirs, _ = finish(server)
        agree(json.loads(out), json.loads(theirs), ["-n", "20m", "-P", "2"])
        equal("over the kernel", [s["bytes"] for s in sums(json.loads(out))], [20 << 20] * 2)


def endings():
    # Nobody there.
    out, err = finish(start(WEIR, "iperf", "-c", KERNEL, *DEVICE, "-t", "1"), 1)
    check(f"refused: {err}", "unable to connect to server: Connection refused" in err)
    out, err = finish(start(WEIR, "iperf", "-c", KERNEL, "-J", *DEVICE), 1)
    check("refused, as JSON", "Connection refused" in json.loads(out)["error"])

    # Ctrl-C at the client: what there is so far, and goodbye to the server.
    server = start("iperf3", "-s", "-1")
    kernel_listens(5201)
    client = start(WEIR, "iperf", "-c", KERNEL, "-t", "30", *DEVICE)
    line = ""
    while " sec " not in line:
        line = client.stdout.readline()
    client.send_signal(signal.SIGINT)
    out, err = finish(client, 1)
    check(f"summary: {out}", " sender\n" in out)
    check(f"interrupted: {err}", "interrupt - the client has terminated" in err)
    out, err = server.communicate(timeout=30)
    check(f"goodbye: {err}", "the client has terminated" in err)

    # A busy server turns others away; Ctrl-C ends it. Which of the two ends iperf3 sees first is a race in iperf3.
    server = start(WEIR, "iperf", "-s", *DEVICE)
    weir_is_up(server)
    first = start("iperf3", "-c", HERE, "-t", "30", "--forceflush")
    line = ""
    while " sec " not in line:
        line = first.stdout.readline()
    second = start("iperf3", "-c", HERE, "-t", "1")
    out, err = second.communicate(timeout=30)
    check(f"busy: {err}", "busy" in err)
    server.send_signal(signal.SIGINT)
    out, err = finish(server, 1)
    check(f"server interrupted: {err}", "interrupt - the server has terminated" in err)
    first.communicate(timeout=30)
    equal("the client knows", first.returncode, 1)

    # weir's client at a busy iperf3.
    server = start("iperf3", "-s")
    kernel_listens(5201)
    first = start("iperf3", "-c", KERNEL, "-t", "30", "--forceflush", "-b", "1M")
    line = ""
    while " sec " not in line:
        line = first.stdout.readline()
    out, err = finish(start(WEIR, "iperf", "-c", KERNEL, "-t", "1", *DEVICE), 1)
    check(f"busy: {err}", "the server is busy" in err)
    for p in (first, server):
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=30)


def strangers():
    """A server survives whatever comes over its control connection, says no, and serves the next one."""
    server = start(WEIR, "iperf", "-s", "-p", "5299", "--kernel")
    kernel_listens(5299)
    cookie = b"a" * 36 + b"\0"
    length = (2).to_bytes(4, "big")
    lines = (
        b"GET / HTTP/1.0\r\nHost: there is more than a cookie here\r\n\r\n",
        cookie[:10],
        cookie + b"\xff\xff\xff\xff",
        cookie + b"\0\0\0\0",
        cookie + length + b"[]",
        cookie + length + b"xy",
        cookie + (13).to_bytes(4, "big") + b'{"parallel":0}'[:13],
        cookie + length + b"{}" + b"\x04",  # the end of a test that never began
        cookie + length + b"{}" + b"\x10",
        cookie + (12).to_bytes(4, "big") + b'{"udp":true}',
    )
    for line in lines:
        with socket.create_connection(("127.0.0.1", 5299), timeout=10) as s:
            s.sendall(line)
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass
    # A stream with another cookie than the test's is none of it. A client may go, and is told when the server does.
    def begin(s, params=b"{}"):
        s.sendall(cookie)
        equal("PARAM_EXCHANGE", s.recv(1), b"\x09")
        s.sendall(len(params).to_bytes(4, "big") + params)
        equal("CREATE_STREAMS", s.recv(1), b"\x0a")

    with socket.create_connection(("127.0.0.1", 5299), timeout=10) as s:
        begin(s)
        with socket.create_connection(("127.0.0.1", 5299), timeout=10) as other:
            other.sendall(b"b" * 36 + b"\0")
            equal("ACCESS_DENIED", other.recv(1), b"\xff")
        with socket.create_connection(("127.0.0.1", 5299), timeout=10) as stream:
            stream.sendall(cookie)
            equal("TEST_START", s.recv(1), b"\x01")
            equal("TEST_RUNNING", s.recv(1), b"\x02")
            s.sendall(b"\x0c")
    # An option that can't be: iperf3's own number for it.
    with socket.create_connection(("127.0.0.1", 5299), timeout=10) as s:
        begin(s, b'{"congestion":"nonesuch"}')
        with socket.create_connection(("127.0.0.1", 5299), timeout=10) as stream:
            stream.sendall(cookie)
            equal("SERVER_ERROR", take(s, 9), b"\xfe" + (134).to_bytes(4, "big") + bytes(4))
    out, _ = finish(start(WEIR, "iperf", "-c", "127.0.0.1", "-p", "5299", "-n", "1m", "--kernel"))
    check("the next one is served", "iperf Done." in out)
    with socket.create_connection(("127.0.0.1", 5299), timeout=10) as s:
        begin(s)
        with socket.create_connection(("127.0.0.1", 5299), timeout=10) as stream:
            stream.sendall(cookie)
            equal("TEST_START, TEST_RUNNING", take(s, 2), b"\x01\x02")
            server.send_signal(signal.SIGINT)
            equal("SERVER_TERMINATE", s.recv(1), b"\x0b")
    finish(server, 1)


def nobody():
    """Who shows no cookie, or only a part of it, does not use up a server that serves one test."""
    server = start(WEIR, "iperf", "-s", "-1", "-p", "5298", "--kernel")
    kernel_listens(5298)
    for line in (b"", b"abc", b"GET / HTTP/1.0\r\nHost: longer than a cookie is\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", 5298), timeout=10) as s:
            s.sendall(line)
    with socket.create_connection(("127.0.0.1", 5298), timeout=10) as s:
        equal("silence is ended", s.recv(1), b"")
    finish(start(WEIR, "iperf", "-c", "127.0.0.1", "-p", "5298", "-n", "1m", "--kernel"))
    finish(server)


def mistakes():
    for words, status, says in (
        (["-c", KERNEL, "--dev", "tap:weir0"], 2, "on which network?"),
        (["-c", KERNEL, "--kernle"], 2, "Did you mean --kernel?"),
        (["-c", KERNEL, "--dev", "tab:weir0", "--address", "10.9.0.2/24"], 1, "tab"),
        (["-c", KERNEL, "--dev", "tap:weir0,queues=2", "--address", "10.9.0.2/24"], 1, "queue"),
        (["-c", KERNEL, *DEVICE, "--sysctl", "nonesuch=1"], 1, "no such tunable"),
        (["-c", "no such host", *DEVICE], 1, "unable to connect to server no such host"),
    ):
        out, err = finish(start(WEIR, "iperf", *words), status)
        check(f"{words}: {err}", says in err and err.count("\n") == 1)
    # Without the right to make a device.
    p = subprocess.run(
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", WEIR, "iperf", "-s", "--dev", "tap:other", "--address", "10.8.0.2/24"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    check(f"no permission: {p.returncode} {p.stderr}", p.returncode == 1 and "CAP_NET_ADMIN" in p.stderr)


def main():
    ip("link", "set", "lo", "up")
    ip("tuntap", "add", "dev", "weir0", "mode", "tap")
    ip("addr", "add", KERNEL + "/24", "dev", "weir0")
    ip("addr", "add", "fd09::1/64", "dev", "weir0", "nodad")
    ip("addr", "add", "10.77.0.1/32", "dev", "lo")
    ip("link", "set", "weir0", "up")
    for f in (transfers, both_ways, elsewhere, over_the_kernel, endings, strangers, nobody, mistakes):
        began = time.monotonic()
        f()
        print(f"{f.__name__}: {time.monotonic() - began:.1f} s", flush=True)


main()
