"""
Two hosts of this machine's kernel, each in a network namespace with a TAP device, and a forwarder of ours between them that
delays, queues, drops and changes frames. Both ends are captured. Root is needed. For make-kernel.
"""
import ctypes
import fcntl
import heapq
import os
import pickle
import random
import select
import socket
import struct
import subprocess
import threading
import time
import traceback

import capture

CLONE_NEWNET = 0x40000000
TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x2, 0x1000, 0x4000
SO_TIMESTAMPNS, PACKET_ALL, SNAP = 35, 3, 96
VNET = 10  # bytes before a frame where there are offloads
BUSY_TIME = 168  # the offset of tcpi_busy_time in struct tcp_info; tcpi_rwnd_limited and tcpi_sndbuf_limited follow
ADDRESSES = ("10.9.0.1", "10.9.0.2")
libc = ctypes.CDLL(None, use_errno=True)


def set_sysctls(words):
    for word in words:
        name, _, value = word.partition("=")
        with open("/proc/sys/net/" + name.replace(".", "/"), "w", encoding="ascii") as f:
            f.write(value)


def open_tap(index, has_offloads):
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = IFF_TAP | IFF_NO_PI | (IFF_VNET_HDR if has_offloads else 0)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"eth0", flags))
    if has_offloads:
        fcntl.ioctl(tap, TUNSETVNETHDRSZ, struct.pack("i", VNET))
        fcntl.ioctl(tap, TUNSETOFFLOAD, 1 | 2)  # checksums, TSO over IPv4
    set_sysctls(["ipv6.conf.all.disable_ipv6=1"])
    for command in (f"link set eth0 address 02:00:00:00:00:0{index + 1}", "link set lo up", "link set eth0 up",
                    f"addr add {ADDRESSES[index]}/24 dev eth0"):
        subprocess.run(["ip", *command.split()], check=True)
    return tap


class Sniffer(threading.Thread):
    """All that goes over eth0, with the kernel's own times."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(PACKET_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.bind(("eth0", PACKET_ALL))
        self.packets = []

    def run(self):
        while True:
            data, extra, _, _ = self.socket.recvmsg(1 << 17, 64)
            seconds, nanoseconds = struct.unpack("qq", extra[0][2])
            self.packets.append((seconds * 10 ** 9 + nanoseconds, data[:SNAP], len(data)))


def netstat():
    with open("/proc/net/netstat", encoding="ascii") as f:
        names, values = f.readline().split()[1:], f.readline().split()[1:]
    return dict(zip(names, map(int, values)))


def times_of(sock):
    """Busy, limited by the receiver, by the send buffer: the kernel's own account, in ns."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return [1000 * t for t in struct.unpack_from("QQQ", info, BUSY_TIME)]


def child(index, program, sysctls, has_offloads, control):
    try:
        tap = open_tap(index, has_offloads)
        set_sysctls(sysctls)
        sniffer = Sniffer()
        sniffer.start()
        socket.send_fds(control, [b"up"], [tap])
        control.recv(2)
        result = []

        def run():
            try:
                result.append(program())
            finally:
                control.send(b"done")
        threading.Thread(target=run, daemon=True).start()
        control.recv(3)
        packets = list(sniffer.packets)
        with control.makefile("wb") as out:
            pickle.dump((packets, netstat(), result[0] if result else None), out)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


class Path:
    """One direction's queue and delay."""

    def __init__(self, delay, rate=0, queue=10 ** 9):
        self.delay, self.rate, self.queue, self.free_at = delay, rate, queue, 0.0

    def arrival(self, size, now):
        """When it comes out; None: the queue is full."""
        begin = max(now, self.free_at)
        if self.rate:
            if (begin - now) * self.rate / 8 + size > self.queue:
                return None
            self.free_at = begin + size * 8 / self.rate
            return self.free_at + self.delay
        return now + self.delay


class Wire:
    """
    hook(side, segment or None, frame) is asked for each frame: None lets it go on; "drop"; a number, seconds more of delay; a
    list of (side that it comes out at, delay, frame) in its place.
    """

    def __init__(self, client, server, up, down, hook=None, sysctls=((), ()), has_offloads=False, limit=100.0):
        self.programs, self.paths, self.hook = (client, server), (up, down), hook
        self.sysctls, self.has_offloads, self.limit = sysctls, has_offloads, limit
        self.log = []  # (side, segment, was it dropped?)

    def run(self):
        controls, pids, taps = [], [], []
        for index in (0, 1):
            ours, theirs = socket.socketpair()
            pid = os.fork()
            if pid == 0:
                ours.close()
                child(index, self.programs[index], self.sysctls[index], self.has_offloads, theirs)
            theirs.close()
            _, fds, _, _ = socket.recv_fds(ours, 2, 1)
            controls.append(ours)
            pids.append(pid)
            taps.append(fds[0])
        controls[1].send(b"go")
        self.forward(controls, taps)
        results = []
        for control in controls:
            control.send(b"end")
        for control in controls:
            with control.makefile("rb") as f:
                results.append(pickle.load(f))
        for pid in pids:
            os.waitpid(pid, 0)
        for tap in taps:
            os.close(tap)
        return results

    def forward(self, controls, taps):
        pending, began, client_goes, done, n = [], time.monotonic(), False, set(), 0
        while len(done) < 2 and time.monotonic() - began < self.limit:
            now = time.monotonic()
            if not client_goes and now - began > 0.3:
                controls[0].send(b"go")
                client_goes = True
            while pending and pending[0][0] <= now:
                _, _, side, frame = heapq.heappop(pending)
                try:
                    os.write(taps[side], frame)
                except OSError:
                    pass
            wait = max(0.0, min(0.05, pending[0][0] - now if pending else 0.05))
            ready, _, _ = select.select([*taps, *[c for k, c in enumerate(controls) if k not in done]], [], [], wait)
            for r in ready:
                if r in taps:
                    for at, out, frame in self.take(taps.index(r), os.read(r, 1 << 17), time.monotonic()):
                        n += 1
                        heapq.heappush(pending, (at, n, out, frame))
                else:
                    r.recv(4)
                    done.add(controls.index(r))
    def take(self, side, frame, now):
        header, packet = (frame[:VNET], frame[VNET:]) if self.has_offloads else (b"", frame)
        segment = capture.tcp_of(capture.Capture(capture.ETHERNET, []), capture.Packet(0, packet, len(packet)))
        verdict = self.hook(side, segment, packet) if self.hook else None
        path = self.paths[side]
        at = None if verdict == "drop" else path.arrival(len(packet), now)
        if segment:
            passes = packet in [f for _, _, f in verdict] if isinstance(verdict, list) else at is not None
            self.log.append((side, segment, not passes))
        if isinstance(verdict, list):
            return [(now + delay, out, (header if f is packet else b"\0" * len(header)) + f) for out, delay, f in verdict]
        if at is None:
            return []
        if isinstance(verdict, float):
            at += verdict
        return [(at, not side, header + packet)]


def lossy(rate, seed, first=5, ways=(0,)):
    """Drops data by chance, from the so many-th on."""
    draw, count = random.Random(seed), [0, 0]

    def hook(side, segment, _):
        if side in ways and segment and segment.length:
            count[side] += 1
            if count[side] > first and draw.random() < rate:
                return "drop"
        return None
    return hook
