"""
What is true of the connections of a lab run, from what the lab itself says of it: its trace (which packets the link dropped,
which timers fired, what each sender waited for) and both ends' captures (what was sent, and what of it arrived). Nothing here
looks at what weir doctor says.

A connection's truth at a vantage is two sets: what must be said, and what may be said. The second has what is true but can't
be seen, or hardly, from there, and what is a matter of taste; all else is wrong to say. tests/doctor/README.md has the rules.
"""
import collections
import json

from capture import ACK, FIN, RST, SYN

RTO_KEEPS = 10_000_000  # ns: a zero window for less than this may be passed over
LIMITS = {
    "application": "limit-application", "idle": "limit-application",
    "receiver window": "limit-receiver", "zero window": "limit-receiver",
    "congestion window": "limit-congestion", "pacing": "limit-congestion", "recovery": "limit-congestion",
    "retransmission timeout": "limit-congestion", "path MTU": "limit-congestion",
    "send buffer": "limit-sender", "Nagle or cork": "limit-sender",
}
LIMIT_IDS = set(LIMITS.values())


class Truth:
    """must, may: verdict -> whose ("client", "server"; None: whichever). either: of each of these one must be said."""

    def __init__(self):
        self.must, self.may, self.either = {}, {}, []

    def need(self, verdict, side=None):
        self.must.setdefault(verdict, side)
        self.may.pop(verdict, None)

    def allow(self, *verdicts):
        for v in verdicts:
            if v not in self.must:
                self.may.setdefault(v, None)

    def excuse(self, *verdicts):
        """Need not be said after all."""
        for v in verdicts:
            self.must.pop(v, None)
            self.may.setdefault(v, None)

    def settled(self, said):
        """What must be and what may be said, given what is: of alternatives the one that is said."""
        must, may = dict(self.must), dict(self.may)
        for group in self.either:
            if not any(v in must for v in group):
                must[next((v for v in group if v in said), group[0])] = None
            may.update({v: None for v in group if v not in must})
        return must, may


class Connection:
    def __init__(self, client, server, isn, at):
        self.client, self.server, self.isn, self.began = client, server, isn, at
        self.packets = {0: [], 1: []}  # by vantage, 0: the client's
        self.ended = None

    def ends(self):
        return self.client, self.server


def connections(captures):
    """captures: segments as seen at the client's end of the link and at the server's."""
    open_now, found = {}, []
    merged = sorted(((t.at, v, k, t) for v in (0, 1) for k, t in enumerate(captures[v])), key=lambda x: x[:3])
    for at, vantage, _, t in merged:
        if t.flags & (SYN | ACK) == SYN:
            key = (t.src, t.dst)
            c = open_now.get(key)
            if not c or (c.isn != t.seq and not is_crossing(open_now, key)):
                c = open_now[key] = Connection(t.src, t.dst, t.seq, at)
                found.append(c)
        c = open_now.get((t.src, t.dst)) or open_now.get((t.dst, t.src))
        if c:
            c.packets[vantage].append(t)
    for c in found:
        c.ended = max(p[-1].at for p in c.packets.values() if p)
    return found


def is_crossing(open_now, key):
    return (key[1], key[0]) in open_now


class Run:
    """The events of a trace that the truth needs."""

    def __init__(self, path):
        self.dropped, self.corrupted = collections.Counter(), set()
        self.timers, self.rtts, self.ledgers = [], [], []
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if '"event":"link"' in line:
                    self.take_link(json.loads(line))
                elif '"event":"timer"' in line and ('"retransmission"' in line or '"tail loss probe"' in line):
                    e = json.loads(line)
                    self.timers.append((e["at_ns"], e["local"], e["remote"], e["timer"]))
                elif '"event":"rtt"' in line:
                    e = json.loads(line)
                    self.rtts.append((e["at_ns"], e["local"], e["remote"], e["sample_ns"]))
                elif '"event":"close"' in line:
                    e = json.loads(line)
                    if e.get("remote"):
                        self.ledgers.append((e["at_ns"], e["local"], e["remote"], e["spent_ns"]))

    def take_link(self, e):
        if (e.get("drop") or e["corrupted"]) and e.get("proto") == 6 and "seq_raw" in e:
            key = (e["at_ns"], e["src"], e["dst"], e["seq_raw"], e["len"])
            self.dropped[key] += 1
            if e["corrupted"] and not e.get("drop"):
                self.corrupted.add(key)

    def is_dropped(self, t):
        return self.dropped[(t.at, t.src, t.dst, t.seq, t.length)] > 0

    def is_corrupted(self, t):
        return (t.at, t.src, t.dst, t.seq, t.length) in self.corrupted


def distance(a, b):
    return (a - b + 2 ** 31) % 2 ** 32 - 2 ** 31


class Way:
    """One direction of a connection: what was sent, in order, and what became of it."""

    def __init__(self, run, conn, side):
        self.side, self.name = side, ("client", "server")[side]
        self.src, self.dst = conn.ends()[side], conn.ends()[not side]
        self.sent = [t for t in conn.packets[side] if t.src == self.src]
        self.arrived = [t for t in conn.packets[not side] if t.src == self.src]
        self.data = [t for t in self.sent if t.length > 0 or t.flags & FIN]
        self.lost = [run.is_dropped(t) for t in self.data]
        self.has_hidden_wait = False  # a timer ran for what was lost entirely: the receiver sees a silent sender

    def end(self, t):
        return t.seq + t.length + bool(t.flags & FIN)


def covers(ranges, lo, hi):
    """Do the ranges, any order, hold all of lo..hi (modulo 2^32)?"""
    at = lo
    moved = True
    while moved and distance(hi, at) > 0:
        moved = False
        for a, b in ranges:
            if distance(a, at) <= 0 < distance(b, at):
                at, moved = b, True
    return distance(hi, at) <= 0


def judge_way(truth, run, conn, way, vantage, since):
    at_sender = vantage == way.side
    delivered, highest = [], None
    retransmitted = []  # (packet, lost, spurious)
    for t, is_lost in zip(way.data, way.lost):
        lo, hi = t.seq, way.end(t)
        is_again = highest is not None and distance(hi, highest) <= 0
        if is_again and t.length > 0:
            near = [r for r in delivered if distance(r[1], lo) > 0 and distance(r[0], hi) < 0]
            retransmitted.append((t, is_lost, covers(near, lo, hi)))
        if highest is None or distance(hi, highest) > 0:
            highest = hi
        if not is_lost:
            delivered.append((lo, hi))
    # Loss: of what was lost, is there anything to see from here?
    for k, (t, is_lost) in enumerate(zip(way.data, way.lost)):
        if not is_lost:
            continue
        truth.allow("path-loss")
        if t.at < since:
            continue
        repair = next((u for u, gone in zip(way.data[k + 1:], way.lost[k + 1:])
                       if not gone and distance(u.seq, t.seq) <= 0 < distance(way.end(u), t.seq)), None)
        if repair is None:
            continue
        if run.is_corrupted(t):
            truth.allow("corrupted")
            if not at_sender:
                truth.need("corrupted")
                continue
        if at_sender or is_hole_seen(way, t, repair):
            truth.need("path-loss")
    if any(run.is_dropped(t) for side in (0, 1) for t in conn.packets[side]):
        truth.allow("path-loss")
    judge_timers(truth, run, conn, way, at_sender, since)
    # Needless ones.
    for t, is_lost, is_spurious in retransmitted:
        if not is_spurious:
            continue
        if is_lost or t.at < since:
            truth.allow("spurious-retransmission")
        else:
            truth.need("spurious-retransmission", way.name)
    judge_order(truth, way, at_sender, since)
    # Its window.
    visible = [t for t in conn.packets[vantage] if t.src == way.src and not t.flags & (SYN | RST)]
    shut = None
    for t in visible:
        if t.window == 0 and shut is None:
            shut = t.at
        if shut is not None and (t.window or t is visible[-1]):
            if t.at - shut >= RTO_KEEPS and t.at >= since:
                truth.need("zero-window", way.name)
            else:
                truth.allow("zero-window")
            shut = None if t.window else shut


def judge_order(truth, way, at_sender, since):
    """Was something overtaken by what was sent after it? Of several copies the first that was not lost is the first to arrive,
    but where copies overtake each other as well, which is left open."""
    sent, lost_copies = {}, collections.Counter()
    for t, is_lost in zip(way.data, way.lost):
        if is_lost:
            lost_copies[t.seq, t.length] += 1
        else:
            sent.setdefault((t.seq, t.length), []).append(t.at)
    seen, top, top_at = set(), None, None
    for t in way.arrived:
        key = (t.seq, t.length)
        if t.length == 0 or key not in sent:
            continue
        if key not in seen and top is not None and distance(t.seq, top) < 0 and sent[key][0] <= top_at:
            if at_sender or t.at < since or lost_copies[key]:
                truth.allow("reordering")
            else:
                truth.need("reordering")
        if top is None or distance(t.seq, top) > 0:
            top, top_at = t.seq, sent[key][0]
        seen.add(key)


def is_hole_seen(way, lost, repair):
    """Did something behind it arrive before the repair?"""
    for t in way.arrived:
        if t.seq == repair.seq and t.at > repair.at:
            return False
        if t.length > 0 and t.at > lost.at and distance(t.seq, lost.seq) > 0:
            return True
    return False


def judge_timers(truth, run, conn, way, at_sender, since):
    for at, local, remote, kind in run.timers:
        if (local, remote) != (way.src, way.dst) and not (local.endswith(":" + way.src.split(":")[1]) and
                                                         remote == way.dst):
            continue
        if not conn.began <= at <= conn.ended + 1 or not way.data:
            continue
        before = [(t, gone) for t, gone in zip(way.data, way.lost) if t.at < at]
        after = [(t, gone) for t, gone in zip(way.data, way.lost) if t.at >= at]
        if not before or not after or after[0][0].at - at > 1_000_000:
            continue
        first = after[0][0]
        top = max(before, key=lambda x: distance(way.end(x[0]), way.data[0].seq))[0]
        top_lost = all(gone for t, gone in before if way.end(t) == way.end(top))
        way.has_hidden_wait |= top_lost and not at_sender
        again = distance(way.end(first), way.end(top)) <= 0
        if not again:
            truth.allow("tail-loss", "rto")
            continue
        # Lost, and something above it came through: not the tail.
        una = first.seq if kind == "retransmission" else None
        is_pure_tail = una is None or not any(not gone and distance(t.seq, una) > 0 for t, gone in before)
        repaired = any(not gone for t, gone in after)
        copies = [gone for t, gone in before if t.seq == first.seq]
        if not top_lost and copies and not all(copies):
            truth.allow("rto", "tail-loss")  # nothing was lost: a needless one
        elif not repaired:
            truth.allow("tail-loss")
            if kind == "retransmission" and at_sender and at >= since:
                truth.need("rto")
            else:
                truth.allow("rto")
        elif kind == "tail loss probe":
            if top_lost and at_sender and at >= since:
                truth.need("tail-loss")
                truth.allow("rto")
            else:
                truth.allow("tail-loss", "rto")
        elif is_pure_tail and len(copies) == 1:
            truth.allow("rto")
            if top_lost and at_sender and at >= since:
                truth.need("tail-loss")
            else:
                truth.allow("tail-loss")
        else:
            truth.allow("tail-loss")
            if (at_sender or not is_pure_tail) and at >= since and len(copies) >= 1:
                truth.need("rto")
            else:
                truth.allow("rto")


def judge_limits(truth, run, conn, way, since):
    segs = sum(1 for t in way.sent if t.length > 0)
    if segs < 12:
        return
    truth.allow(*LIMIT_IDS) if since else None
    spent = [s for at, local, remote, s in run.ledgers
             if local == way.src and remote == way.dst and at >= conn.began]
    if not spent:
        truth.allow(*LIMIT_IDS)
        return
    shares = collections.Counter()
    for cause, ns in spent[0].items():
        if cause in LIMITS:
            shares[LIMITS[cause]] += ns
    total = sum(shares.values())
    if not total:
        truth.allow(*LIMIT_IDS)
        return
    best, most = shares.most_common(1)[0]
    for verdict, ns in shares.items():
        if ns >= 0.3 * total:
            truth.allow(verdict)
    if most >= 0.6 * total and segs >= 30 and not since:
        truth.need(best, way.name)
    if way.has_hidden_wait:
        truth.excuse(best)
        truth.allow(best, "limit-application")


def judge_queue(truth, run, conn, way, vantage, since):
    samples = sorted(s for at, local, remote, s in run.rtts
                     if local == way.src and remote == way.dst and conn.began <= at <= conn.ended)
    if len(samples) < 30:
        return
    low, high = samples[0], samples[len(samples) * 9 // 10]
    if samples[-1] >= 2 * low and samples[-1] >= low + 30_000_000:
        truth.allow("bufferbloat")
    if high >= 4 * low and high >= low + 80_000_000 and vantage == way.side and not since:
        truth.need("bufferbloat")


def judge(run, conn, vantage, since=0, end=None, has_queue=False):
    """end: the verdict about the connection's end, where resets or silence make it other than the FINs tell."""
    truth = Truth()
    seen = conn.packets[vantage]
    for side in (0, 1):
        way = Way(run, conn, side)
        judge_way(truth, run, conn, way, vantage, since)
        judge_limits(truth, run, conn, way, since)
        if has_queue:
            judge_queue(truth, run, conn, way, vantage, since)
    syns = [t for t in seen if t.flags & (SYN | ACK) == SYN]
    answers = [t for t in seen if t.flags & (SYN | ACK) == SYN | ACK and t.src == conn.server]
    if len(syns) > 1 and answers and not since:
        if syns[-1].at < answers[-1].at and syns[0].at + 400_000_000 < answers[0].at:
            truth.need("syn-retries")
        else:
            truth.allow("syn-retries")
    if end is None and any(t.flags & RST for t in seen):
        raise ValueError("the case does not say why there is a reset")
    if end is None:
        fins = {t.src for t in seen if t.flags & FIN}
        if fins == {conn.client, conn.server}:
            truth.need("closed")
        elif fins:
            truth.need("never-closed")
        elif any(t.src == conn.server for t in seen):
            truth.need("open")
    return truth
