"""The kernel's end of interop*.sh: sockets of this process against a tap-peer on a device of this namespace."""
import errno
import hashlib
import select
import socket
import struct
import subprocess
import sys
import time

PEER, FILE, SHORT, *KINDS = sys.argv[1:]
ADDRESS = {4: "10.9.0.2", 6: "fd09::2"}
OWN = {4: "10.9.0.1", 6: "fd09::1"}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
failures = []


def check(what, got, wanted):
    if got != wanted:
        failures.append(what)
        print(f"FAILED: {what}: got {got!r}, wanted {wanted!r}", flush=True)


def sh(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def make_veth():
    """weir is to sit on vw0; the kernel has weir0, and no business on vw0."""
    sh("ip", "link", "add", "weir0", "type", "veth", "peer", "name", "vw0")
    with open("/proc/sys/net/ipv6/conf/vw0/disable_ipv6", "w") as f:
        f.write("1")
    sh("ip", "link", "set", "vw0", "up")


NO_HUGE = "eal=--no-huge;-m;256"


class Peer:
    """A tap-peer, and the device's kernel end with its addresses."""

    def __init__(self, *options, kind="tun", words="offload=off", mtu=1500, file=FILE):
        self.data = open(file, "rb").read()
        self.is_veth = kind in ("packet", "xdp")
        name = "vw0" if self.is_veth else "weir0"
        if self.is_veth:
            make_veth()
        if kind == "dpdk":
            name = "net_tap0"  # its other end is the kernel's weir0
            words = "args=iface=weir0," + NO_HUGE
        device = f"{kind}:{name}" + ("," + words if words else "")
        self.p = subprocess.Popen([PEER, "-f", file, "-d", device, "-m", str(mtu), *options], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, bufsize=1)
        check("start", self.line(), f"ready {name}")
        sh("ip", "link", "set", "weir0", "mtu", str(mtu), "up")
        sh("ip", "addr", "add", "10.9.0.1/24", "dev", "weir0")
        if mtu >= 1280:
            sh("ip", "addr", "add", "fd09::1/64", "dev", "weir0", "nodad")
            time.sleep(1.2)  # weir's own duplicate address detection: RFC 4862 5.4

    def line(self, seconds=20):
        ready, _, _ = select.select([self.p.stdout], [], [], seconds)
        return self.p.stdout.readline().strip() if ready else "nothing"

    def ask(self, text):
        self.p.stdin.write(text + "\n")

    def stat(self, name):
        self.ask("stat " + name)
        return int(self.line().split()[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.stdin.close()
        try:
            check("the peer's own checks", self.p.wait(5), 0)
        except subprocess.TimeoutExpired:
            self.p.kill()
            check("the peer's end", "never", 0)
        if self.is_veth:
            sh("ip", "link", "del", "weir0")


def tcp(v):
    s = socket.socket(FAMILY[v], socket.SOCK_STREAM)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    s.settimeout(25)
    return s


def connect(v, port):
    s = tcp(v)
    s.connect((ADDRESS[v], port))
    return s


def read_all(s):
    parts = []
    while part := s.recv(1 << 18):
        parts.append(part)
    return b"".join(parts)


def sha(data):
    return hashlib.sha256(data).hexdigest()


def to_weir(peer, v, what, port=9):
    s = connect(v, port)
    s.sendall(peer.data)
    s.shutdown(socket.SHUT_WR)
    check(what + ", kernel to weir", read_all(s).decode(), f"{len(peer.data)} same\n")
    s.close()
    role = "slow" if port == 13 else "sink"
    check(what + ", kernel to weir, end", peer.line(), f"end {role} 0 {len(peer.data)} same")


def from_weir(peer, v, what, pause=0):
    s = tcp(v)
    if pause:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    s.connect((ADDRESS[v], 19))
    time.sleep(pause)
    check(what + ", weir to kernel", sha(read_all(s)), sha(peer.data))
    s.close()
    check(what + ", weir to kernel, end", peer.line(), f"end source 0 {len(peer.data)} same")


def weir_connects(peer, v):
    """weir is the client: it sends the file, then reads it, then finds nobody."""
    listener = socket.create_server((OWN[v], 0), family=FAMILY[v])
    listener.settimeout(10)
    port = listener.getsockname()[1]
    peer.ask(f"source {OWN[v]} {port}")
    s = listener.accept()[0]
    check(f"weir connects and sends, IPv{v}", sha(read_all(s)), sha(peer.data))
    s.close()
    check(f"weir connects and sends, IPv{v}, end", peer.line(), f"end source 0 {len(peer.data)} same")
    peer.ask(f"sink {OWN[v]} {port}")
    s = listener.accept()[0]
    s.sendall(peer.data)
    s.shutdown(socket.SHUT_WR)
    check(f"weir connects and reads, IPv{v}", read_all(s).decode(), f"{len(peer.data)} same\n")
    s.close()
    peer.line()
    listener.close()
    peer.ask(f"sink {OWN[v]} {port}")
    check(f"weir connects to a closed port, IPv{v}", peer.line(), f"end sink {errno.ECONNREFUSED} 0 same")


def reset_unread(peer, v):
    s = connect(v, 11)
    s.sendall(b"never read")
    try:
        got = s.recv(1)
    except OSError as e:
        got = e.errno
    check(f"weir closes with unread data, IPv{v}", got, errno.ECONNRESET)
    check("its end", peer.line().split()[1], "unread")
    s = connect(v, 19)
    s.recv(1, socket.MSG_PEEK)
    s.close()
    check(f"the kernel closes with unread data, IPv{v}", peer.line().split()[:3],
          ["end", "source", str(errno.ECONNRESET)])


def urgent(peer, v):
    s = connect(v, 7)
    s.sendall(b"abc")
    check("echo", s.recv(3), b"abc")
    s.send(b"!", socket.MSG_OOB)
    ready = select.select([], [], [s], 5)[2]
    s.settimeout(None)  # with a timeout, Python would wait for ordinary data first
    check(f"urgent byte and back, IPv{v}", s.recv(1, socket.MSG_OOB) if ready else b"", b"!")
    s.settimeout(5)
    s.shutdown(socket.SHUT_WR)
    check("half-close", s.recv(1), b"")
    s.close()
    peer.line()


def negotiated(peer, v):
    s = connect(v, 7)
    s.sendall(b"x" * 1000)
    s.recv(1000)
    port = s.getsockname()[1]
    text = sh("ss", "-tionH", "sport", "=", f":{port}")
    for word in (" ts ", " sack ", "wscale:", "cubic"):
        check(f"ss shows {word.strip()}, IPv{v}", word in text, True)
    s.close()
    peer.line()


def keepalive(peer):
    s = connect(4, 7)
    for name, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2)):
        s.setsockopt(socket.IPPROTO_TCP, name, value)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    time.sleep(3.5)
    s.sendall(b"alive")
    check("alive after keepalives", s.recv(5), b"alive")
    check("weir sent keepalives", peer.stat("TCPKeepAlive") > 0, True)
    s.close()
    peer.line()


def udp(v):
    s = socket.socket(FAMILY[v], socket.SOCK_DGRAM)
    s.settimeout(5)
    for size in (0, 1, 1000, 9000):
        s.sendto(b"u" * size, (ADDRESS[v], 7))
        check(f"UDP echo of {size}, IPv{v}", len(s.recv(65536)), size)
    s.connect((ADDRESS[v], 99))
    s.send(b"?")
    try:
        got = s.recv(1)
    except OSError as e:
        got = e.errno
    check(f"UDP port unreachable, IPv{v}", got, errno.ECONNREFUSED)


def refused(v):
    check(f"the kernel connects to a closed port, IPv{v}", tcp(v).connect_ex((ADDRESS[v], 99)), errno.ECONNREFUSED)


def ping(v):
    got = subprocess.run(["ping", f"-{v}", "-c", "2", "-i", "0.2", "-W", "2", ADDRESS[v]], capture_output=True)
    check(f"ping, IPv{v}", got.returncode, 0)


class Capture:
    """tshark's opinion of what crossed the device: nothing malformed, no bad checksum."""

    def __init__(self):
        words = ["dumpcap", "-q", "-i", "weir0", "-P", "-w", "cap.pcap"]
        self.p = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        time.sleep(0.7)

    def verdict(self, source):
        time.sleep(0.3)
        self.p.terminate()
        self.p.wait()
        # What an ICMP error quotes is the kernel's, whose checksums may be owed.
        bad = (f"({source}) && (_ws.malformed || (tcp || udp) && !icmp && !icmpv6 && "
               "(tcp.checksum.status == 0 || udp.checksum.status == 0) || "
               "ip.checksum.status == 0 || icmp.checksum.status == 0 || icmpv6.checksum.status == 0)")
        options = ["-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
        check("tshark on weir's packets", sh("tshark", "-r", "cap.pcap", *options, "-Y", bad), "")
        check("the capture has packets", len(sh("tshark", "-r", "cap.pcap", "-Y", source)) > 0, True)


def kernel_counters():
    """The kernel's own, by the names of nstat."""
    found = {}
    for name in ("snmp", "netstat"):
        lines = open(f"/proc/net/{name}").read().splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            prefix = names.split(":")[0]
            found |= {prefix + k: int(v) for k, v in zip(names.split()[1:], values.split()[1:])}
    return found


def marked(mode):
    """A link that marks above 30 kB, both ways and with either end as the one that asks: nothing is lost."""
    try:
        with open("/proc/sys/net/ipv4/tcp_ecn", "w") as f:
            f.write(mode)
    except OSError:
        print(f"the kernel has no tcp_ecn={mode}: without", flush=True)
        return
    with Peer("-l", "rate=50mbit delay=2ms queue=1m ecn=30k", file=SHORT) as peer:
        peer.ask(f"sysctl net.ipv4.tcp_ecn {mode}")
        before = kernel_counters()
        for v in (4, 6):
            to_weir(peer, v, f"marked, tcp_ecn {mode}, IPv{v}")
            from_weir(peer, v, f"marked, tcp_ecn {mode}, IPv{v}")
            weir_connects(peer, v)
        after = kernel_counters()
        grown = {k: after[k] - before[k] for k in after}
        check(f"marks that the kernel was told of, tcp_ecn {mode}", grown["TcpExtTCPDeliveredCE"] > 0, True)
        check(f"marks that the kernel saw, tcp_ecn {mode}", grown["IpExtInCEPkts"] > 0, True)
        # A machine that stands still for a moment makes the kernel probe, or time out: neither is a loss it saw.
        taken_for_lost = sum(grown[f"TcpExtTCP{k}"] for k in ("FastRetrans", "SackRecovery", "LostRetransmit"))
        check(f"what the kernel took for lost, tcp_ecn {mode}", taken_for_lost, 0)
        check(f"marks that weir was told of, tcp_ecn {mode}", peer.stat("TCPDeliveredCE") > 0, True)
        check(f"marks that weir saw, tcp_ecn {mode}", peer.stat("InCEPkts") > 0, True)
        check(f"what weir sent again, tcp_ecn {mode}", peer.stat("TcpRetransSegs"), 0)


def summed(data, start=0):
    total = start + sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def packet(src, dst, tos, seg):
    """An IPv4 packet around a TCP segment, both checksums right."""
    addresses = socket.inet_aton(src) + socket.inet_aton(dst)
    pseudo = summed(addresses + struct.pack("!BBH", 0, 6, len(seg)))
    seg = seg[:16] + struct.pack("!H", ~summed(seg, pseudo) & 0xFFFF) + seg[18:]
    hdr = struct.pack("!BBHHHBBH", 0x45, tos, 20 + len(seg), 1, 0x4000, 64, 6, 0) + addresses
    return hdr[:10] + struct.pack("!H", ~summed(hdr) & 0xFFFF) + hdr[12:] + seg


def accurate():
    """AccECN with offloads: the kernel would clear CWR in all segments of a super-segment but the first, so they are cut.
    The peer is this process, at an address that nobody has."""
    other, ours = "10.9.0.77", "10.9.0.2"
    with Peer(words="", file=SHORT) as peer:
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        raw.bind(("weir0", 0x0800))
        raw.settimeout(5)
        peer.ask("sysctl tcp_ecn 3")
        peer.ask(f"source {other} 1234")

        def segment():
            while True:
                p = raw.recv(1 << 17)
                if p[9] == 6 and socket.inet_ntoa(p[12:16]) == ours:
                    port, _, seq, _, off = struct.unpack("!HHIIH", p[20:34])
                    return p, port, seq, off & 0x1FF, p[20 + (off >> 12) * 4:]

        _, port, seq, flags, _ = segment()
        check("flags of weir's SYN", flags, 0x1C2)
        answer = struct.pack("!HHIIHHHH", 1234, port, 1000, seq + 1, 6 << 12 | 0x92, 65535, 0, 0) + b"\2\4\5\xb4"
        raw.sendto(packet(other, ours, 3, answer), ("weir0", 0x0800))  # marked on its way
        p, _, _, flags, _ = segment()
        check("ACE and field of weir's ACK: the SYN-ACK came marked", (flags, p[1] & 3), (0x190, 2))
        got = 0
        while got < 14600:  # the first window
            p, _, _, flags, data = segment()
            check("ACE, field and length of weir's data", (flags & 0x1D0, p[1] & 3, len(data) <= 1460), (0x190, 2, True))
            got += len(data)
        reset = struct.pack("!HHIIHHHH", 1234, port, 1001, 0, 5 << 12 | 4, 0, 0, 0)
        raw.sendto(packet(other, ours, 0, reset), ("weir0", 0x0800))
        check("weir's end", peer.line().split()[:3], ["end", "source", str(errno.ECONNRESET)])
        raw.close()


def manners(peer):
    """All but bulk: what must be the same on either kind of link."""
    for v in (4, 6):
        ping(v)
        refused(v)
        udp(v)
        urgent(peer, v)
        reset_unread(peer, v)
        negotiated(peer, v)
        weir_connects(peer, v)
    keepalive(peer)
    from_weir(peer, 4, "slow reader in the kernel", pause=1)
    to_weir(peer, 4, "slow reader in weir", port=13)


def runs(v):
    """The kernel sends runs of datagrams (UDP segmentation), which come as one where there are offloads."""
    s = socket.socket(FAMILY[v], socket.SOCK_DGRAM)
    s.settimeout(5)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    s.setsockopt(17, 103, 1000)  # SOL_UDP, UDP_SEGMENT
    sent = b"".join(bytes([i]) * 1000 for i in range(30)) + b"last"
    s.sendto(sent, (ADDRESS[v], 7))
    got = [s.recv(65536) for _ in range(31)]
    check(f"datagrams of a run, IPv{v}", sorted(got), sorted(sent[i:i + 1000] for i in range(0, len(sent), 1000)))
    s.close()


def device(peer):
    peer.ask("device")
    return [int(word) for word in peer.line().split()[1:]]


def bulk(kind, words):
    with Peer(kind=kind, words=words) as peer:
        for v in (4, 6):
            to_weir(peer, v, f"{kind}:{words}, IPv{v}")
            from_weir(peer, v, f"{kind}:{words}, IPv{v}")
            runs(v)
        _, _, rx_gso, tx_gso, _, lost = device(peer)
        has_offloads = kind not in ("xdp", "dpdk") and "offload=off" not in words
        check(f"{kind}:{words}: super-segments came in", rx_gso > 0, has_offloads or kind == "packet")
        check(f"{kind}:{words}: super-segments went out", tx_gso > 0, has_offloads)
        check(f"{kind}:{words}: packets that could not be read", lost, 0)


def queues(kind):
    """Connections at once over a device with two queues."""
    with Peer(kind=kind, words="queues=2", file=SHORT) as peer:
        open_at_once = [connect(4, 19) for _ in range(8)]
        for s in open_at_once:
            check(f"{kind} with two queues", sha(read_all(s)), sha(peer.data))
            s.close()
            peer.line()
        to_weir(peer, 6, f"{kind} with two queues")
        counts = device(peer)
        check(f"{kind}: two queues, each used both ways: {counts}", [n > 0 for n in counts[:2] + counts[6:8]], [True] * 4)


KIND_WORDS = {
    "tun": ("offload=off", ""),
    "tap": ("offload=off", "", "busy"),
    "packet": ("offload=off,mode=batch", "", "mode=batch", "busy"),
    "xdp": ("", "mode=copy", "busy,ring=4096"),
    "dpdk": ("",),
}


def drivers(kinds):
    for kind in kinds:
        with Peer(kind=kind, words=KIND_WORDS[kind][0], file=SHORT) as peer:
            capture = Capture()
            manners(peer)
            capture.verdict("ip.src == 10.9.0.2 || ipv6.src == fd09::2")
        for words in KIND_WORDS[kind]:
            bulk(kind, words)


def other_ports():
    """DPDK's other virtual devices: each is opened, and echoes where there is somebody at its other end."""
    make_veth()
    sh("ip", "link", "set", "weir0", "up")
    sh("ip", "addr", "add", "10.9.0.1/24", "dev", "weir0")
    for name, words in (("net_null0", ""), ("net_ring0", ""), ("net_af_packet0", "args=iface=vw0,")):
        p = subprocess.Popen([PEER, "-f", SHORT, "-d", f"dpdk:{name},{words}{NO_HUGE}"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
        check(name, p.stdout.readline(), f"ready {name}\n")
        if words:
            ping(4)
        p.stdin.close()
        check(name + ", end", p.wait(10), 0)


def main():
    sh("ip", "link", "set", "lo", "up")
    drivers(KINDS)
    if "packet" in KINDS:
        queues("packet")
    if "dpdk" in KINDS:
        other_ports()
    if "tap" not in KINDS:
        return
    queues("tap")
    for mtu in (576, 9000):
        with Peer(kind="tap", mtu=mtu, file=SHORT) as peer:
            to_weir(peer, 4, f"MTU {mtu}")
            from_weir(peer, 4, f"MTU {mtu}")
    with Peer("-l", "delay=2ms jitter=500us loss=1% reorder=2% dup=0.5%", file=SHORT) as peer:
        for v in (4, 6):
            to_weir(peer, v, f"loss and reordering, IPv{v}")
            from_weir(peer, v, f"loss and reordering, IPv{v}")
    for mode in ("1", "3"):
        marked(mode)
    accurate()


main()
sys.exit(1 if failures else 0)
