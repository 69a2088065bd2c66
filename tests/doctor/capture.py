"""Captures as lists of packets: reading and writing pcap and pcapng, and what a worse capture would have kept of one."""
import dataclasses
import struct

ETHERNET, NULL, RAW, SLL = 1, 0, 101, 113
SYN, FIN, RST, ACK = 2, 1, 4, 16


@dataclasses.dataclass
class Packet:
    at: int  # ns
    data: bytes
    length: int  # on the wire
    interface: int = 0
    number: int = 0  # in the file, from 1


@dataclasses.dataclass
class Tcp:
    """What the truth wants to know of a segment."""
    at: int
    src: str
    dst: str
    seq: int
    ack: int
    flags: int
    window: int
    length: int
    options: bytes
    packet: Packet


class Capture:
    def __init__(self, linktype, packets, interfaces=None):
        self.linktype, self.packets, self.interfaces = linktype, packets, interfaces or {}


# ---- Reading ----

def read_pcapng(raw):
    packets, ticks, linktype, names, at = [], [], ETHERNET, {}, 0
    while at + 12 <= len(raw):
        kind, size = struct.unpack_from("<II", raw, at)
        body = raw[at + 8:at + size - 4]
        if kind == 1:
            linktype = struct.unpack_from("<H", body)[0]
            tick, k = 1000, 8
            while k + 4 <= len(body):
                code, length = struct.unpack_from("<HH", body, k)
                if code == 9:
                    tick = 10 ** (9 - body[k + 4])
                elif code == 2:
                    names[len(ticks)] = body[k + 4:k + 4 + length].decode()
                k += 4 + (length + 3) // 4 * 4
                if code == 0:
                    break
            ticks.append(tick)
        elif kind == 6:
            interface, high, low, captured, length = struct.unpack_from("<IIIII", body)
            packets.append(Packet((high << 32 | low) * ticks[interface], body[20:20 + captured], length, interface,
                                  len(packets) + 1))
        at += size
    return Capture(linktype, packets, names)


def read_pcap(raw):
    order = "<" if raw[:1] in b"\xd4\x4d" else ">"
    magic, _, _, _, _, _, linktype = struct.unpack_from(order + "IHHiIII", raw)
    scale = 1 if magic == 0xa1b23c4d else 1000
    packets, at = [], 24
    while at + 16 <= len(raw):
        seconds, fraction, captured, length = struct.unpack_from(order + "IIII", raw, at)
        packets.append(Packet(seconds * 10 ** 9 + fraction * scale, raw[at + 16:at + 16 + captured], length, 0,
                              len(packets) + 1))
        at += 16 + captured
    return Capture(linktype, packets)


def read(path):
    with open(path, "rb") as f:
        raw = f.read()
    return read_pcapng(raw) if raw[:4] == b"\x0a\x0d\x0d\x0a" else read_pcap(raw)


# ---- Writing ----

def write_pcap(path, capture, nanoseconds=False, big_endian=False):
    order, scale = ">" if big_endian else "<", 1 if nanoseconds else 1000
    out = [struct.pack(order + "IHHiIII", 0xa1b23c4d if nanoseconds else 0xa1b2c3d4, 2, 4, 0, 0, 262144,
                       capture.linktype)]
    for p in capture.packets:
        out.append(struct.pack(order + "IIII", p.at // 10 ** 9, p.at % 10 ** 9 // scale, len(p.data), p.length) + p.data)
    with open(path, "wb") as f:
        f.write(b"".join(out))


def block(kind, body):
    body += b"\0" * (-len(body) % 4)
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def write_pcapng(path, capture):
    interfaces = sorted({p.interface for p in capture.packets})
    out = [block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1))]
    out += [block(1, struct.pack("<HHI", capture.linktype, 0, 0) + struct.pack("<HHB3xI", 9, 1, 9, 0)) for _ in interfaces]
    for p in capture.packets:
        out.append(block(6, struct.pack("<IIIII", interfaces.index(p.interface), p.at >> 32, p.at & 0xffffffff, len(p.data), p.length) + p.data))
    with open(path, "wb") as f:
        f.write(b"".join(out))


# ---- Segments ----

LINK_HEADERS = {ETHERNET: 14, NULL: 4, RAW: 0, SLL: 16}


def ip_of(capture, packet):
    """The packet from its IPv4 header on, or None."""
    at, data = LINK_HEADERS[capture.linktype], packet.data
    if capture.linktype == ETHERNET:
        if data[12:14] == b"\x81\x00":
            at += 4
        if data[at - 2:at] != b"\x08\x00":
            return None
    return data[at:] if len(data) >= at + 20 and data[at] >> 4 == 4 else None


def tcp_of(capture, packet):
    ip = ip_of(capture, packet)
    if not ip or ip[9] != 6 or len(ip) < (ip[0] & 15) * 4 + 20:
        return None
    header = (ip[0] & 15) * 4
    tcp = ip[header:]
    sport, dport, seq, ack, offset, flags, window = struct.unpack_from(">HHIIBBH", tcp)
    size = struct.unpack_from(">H", ip, 2)[0] or packet.length - LINK_HEADERS[capture.linktype]  # 0: a super-segment
    src, dst = (".".join(map(str, ip[k:k + 4])) for k in (12, 16))
    return Tcp(packet.at, f"{src}:{sport}", f"{dst}:{dport}", seq, ack, flags, window,
               size - header - (offset >> 4) * 4, tcp[20:(offset >> 4) * 4], packet)


def segments(capture):
    return [t for t in (tcp_of(capture, p) for p in capture.packets) if t]


# ---- What a worse capture would have kept ----

def with_packets(capture, packets):
    return Capture(capture.linktype, list(packets), capture.interfaces)


def of_interface(capture, interface):
    return with_packets(capture, (p for p in capture.packets if p.interface == interface))


def snapped(capture, length):
    return with_packets(capture, (dataclasses.replace(p, data=p.data[:length]) for p in capture.packets))


def from_time(capture, at):
    return with_packets(capture, (p for p in capture.packets if p.at >= at))


def one_way(capture, src):
    """Only what that address sent."""
    kept = []
    for p in capture.packets:
        t = tcp_of(capture, p)
        if not t or t.src.rsplit(":", 1)[0] == src:
            kept.append(p)
    return with_packets(capture, kept)


def missing(capture, every):
    """Each so many-th packet is not there; those that open and close a connection always are."""
    kept, gone, n = [], [], 0
    for p in capture.packets:
        t = tcp_of(capture, p)
        if t and not t.flags & (SYN | FIN | RST):
            n += 1
            if n % every == 0:
                gone.append(t)
                continue
        kept.append(p)
    return with_packets(capture, kept), gone


def twice(capture):
    """As a mirror port that copies what comes in and what goes out: each packet is there again, a microsecond later at most."""
    kept = []
    for p, after in zip(capture.packets, [*capture.packets[1:], None]):
        kept += [p, dataclasses.replace(p, at=min(p.at + 1000, after.at) if after else p.at + 1000)]
    return with_packets(capture, kept)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv6_of(address):
    return bytes.fromhex("fd00" + "00" * 10) + address


def on_ipv6(capture):
    """The same segments in IPv6. The difference that the checksum had to the right one remains."""
    packets = []
    for p in capture.packets:
        ip = ip_of(capture, p)
        assert capture.linktype == RAW and ip[9] == 6
        tcp, src, dst = ip[(ip[0] & 15) * 4:], ipv6_of(ip[12:16]), ipv6_of(ip[16:20])
        pseudo4 = ip[12:20] + struct.pack(">HH", 6, len(tcp))
        if checksum(pseudo4 + tcp) == 0:
            tcp = tcp[:16] + b"\0\0" + tcp[18:]
            tcp = tcp[:16] + struct.pack(">H", checksum(src + dst + struct.pack(">II", len(tcp), 6) + tcp)) + tcp[18:]
        data = struct.pack(">IHBB", 0x60000000, len(tcp), 6, ip[8]) + src + dst + tcp
        packets.append(dataclasses.replace(p, data=data, length=len(data)))
    return with_packets(capture, packets)


def on_link(capture, kind):
    """The same packets with another link-layer header."""
    headers = {
        "ethernet": (ETHERNET, bytes.fromhex("02000000000202000000000108 00".replace(" ", ""))),
        "vlan": (ETHERNET, bytes.fromhex("0200000000020200000000018100002a0800")),
        "sll": (SLL, bytes.fromhex("00000001000602000000000100000800")),
        "null": (NULL, struct.pack("<I", 2)),
    }
    linktype, header = headers[kind]
    assert capture.linktype == RAW
    packets = [dataclasses.replace(p, data=header + p.data, length=p.length + len(header)) for p in capture.packets]
    return Capture(linktype, packets)


def write(path, capture, form):
    if form == "pcapng":
        write_pcapng(path, capture)
    else:
        write_pcap(path, capture, nanoseconds=form == "ns", big_endian=form == "big")
