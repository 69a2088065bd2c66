"""
The scenarios of the lab whose captures the doctor is tried on. Each is a function of its variant's numbers: round trip, rate,
sizes, losses are drawn by the scenario's name and the variant's number, so that the held-out part is other numbers of the
same troubles. What only the scenario's maker can know of a connection (why it was refused, reset, left alone) stands here;
the rest is measured from the run (truth.py).
"""
import random

CASES = []
DATA_MSS = 1448


class Facts:
    """Of one connection, in the order of their first SYNs. `end`: why it ended, if not by its FINs ("" for "as declared").
    must and may hold at both ends, must_at[0] at the client's, must_at[1] at the server's. "a|b": one of them must be said."""

    def __init__(self, end=None, must=(), may=(), client=(), server=()):
        self.end, self.must, self.may, self.must_at = end, must, may, (client, server)


class World:
    def __init__(self, link, server, clients, facts=None, kind="ip", client_sysctl=(), server_sysctl=(), timeline=(),
                 until="100s", has_queue=None, isn_for=None, network=((), ()),
                 vantages=(0, 1)):
        self.facts = [Facts()] if facts is None else facts
        self.network = network  # verdicts of no connection, by vantage
        self.vantages = vantages  # whose captures are what they would be
        self.has_queue = "rate=" in link and "jitter" not in link if has_queue is None else has_queue
        self.isn_for = isn_for  # of the server's first number to the timeline, once it is known
        programs = [("server", "0ms", server)] if isinstance(server[0], str) else [("server", "0ms", s) for s in server]
        for c in clients if isinstance(clients[0], (list, tuple)) and not isinstance(clients[0], str) else [clients]:
            start = "10ms"
            if isinstance(c, tuple):
                start, c = c
            programs.append(("client", start, c))
        self.base = (link, kind, client_sysctl, server_sysctl, programs, until)
        self.timeline = list(timeline)

    def yaml(self, extra=()):
        link, kind, client_sysctl, server_sysctl, programs, until = self.base

        def quoted(words):
            return "[" + ", ".join('"%s"' % w for w in words) + "]"
        out = ["title: A case for the doctor", "chapter: Doctor", "about: See tests/doctor.", "hosts:",
               f"  - {{name: client, sysctl: {quoted(client_sysctl)}}}",
               f"  - {{name: server, sysctl: {quoted(server_sysctl)}}}", "links:",
               f'  - {{from: client, to: server, type: {kind}, link: "{link}"}}', "programs:"]
        for host, start, steps in programs:
            out.append(f"  - {{host: {host}, start: {start}, steps: {quoted(steps)}}}")
        if self.timeline or extra:
            out.append("timeline:")
            out += [f'  - {{at: {at}, do: "{do}"}}' for at, do in list(self.timeline) + list(extra)]
        out += [f"until: {until}", "claims:", "  - {say: it ran, check: 1 == 1}"]
        return "\n".join(out).replace("sysctl: []", "sysctl: [tcp_syn_retries=6]") + "\n"


def case(*ways, n=2):
    """ways: further captures of the run, as `VANTAGE+TREATMENT` (score.py); n: variants in each part."""
    def enter(f):
        CASES.append((f.__name__.replace("_", "-"), f, ways, n))
        return f
    return enter


class Draw(random.Random):
    def rtt(self, low=8, high=160):
        return round(low * (high / low) ** self.random())

    def mbit(self, low=4, high=60):
        return round(low * (high / low) ** self.random())

    def control(self):
        return "tcp_congestion_control=" + self.choice(["reno", "cubic"])


SINK = ["listen 80", "accept", "read to end", "close"]
SINKS = ["listen 80", "accept each", "read to end", "close"]


def upload(size, *before, after=()):
    return [*before, "connect server 80", f"write {size}", *after, "shutdown", "read to end", "close"]


def pipe(d, rtt, mbit, queue=None, more=""):
    """A link with a queue of one bandwidth-delay product, but where it is said otherwise."""
    return f"rate={mbit}mbit delay={rtt * 500}us queue={queue or max(30000, mbit * 125 * rtt)}b {more}".strip()


# ---- Healthy ones ----

@case("client+vlan", "server+snap64", "client+ns", "server+big", "client+v6", "server+twice", "client+both")
def healthy_bulk(d):
    return World(pipe(d, d.rtt(), d.mbit(20, 60)), SINK, upload(d.randint(60, 150) * 1000), client_sysctl=[d.control()])


@case("client+snap96", "server+sll")
def healthy_download(d):
    size = d.randint(60, 200) * 1000
    return World(pipe(d, d.rtt(), d.mbit(20, 60)), ["listen 80", "accept", "read 100", f"write {size}", "close"],
                 ["connect server 80", "write 100", "read to end", "close"], server_sysctl=[d.control()])


@case("client+null", "server+ethernet", "client+twice", "server+v6")
def healthy_questions(d):
    rtt, n = d.rtt(), d.randint(8, 30)
    return World(f"delay={rtt * 500}us", ["listen 80", "accept each", "repeat forever", "read 200", "write 900", "end"],
                 [["connect server 80", f"repeat {n}", "write 200", "read 900", f"sleep {d.randint(5, 90)}ms", "end", "close"]
                  for _ in range(3)], [Facts()] * 3)


@case()
def healthy_many(d):
    n = d.randint(8, 12)
    return World(f"delay={d.rtt() * 500}us rate=50mbit", ["listen 80 backlog 64", "accept each", "read 100", "write 3k", "close"],
                 [(f"{10 + 20 * k}ms", ["connect server 80", "write 100", "read to end", "close"]) for k in range(n)],
                 [Facts()] * n)


@case("server+snap64")
def healthy_windows_like(d):
    """No timestamps, as Windows has it by default."""
    return World(pipe(d, d.rtt(), d.mbit()), SINK, upload(d.randint(60, 200) * 1000),
                 client_sysctl=["tcp_timestamps=0", d.control()], server_sysctl=["tcp_timestamps=0"])


@case()
def healthy_ethernet(d):
    return World(f"delay={d.rtt() * 500}us rate=30mbit", SINK, upload(d.randint(30, 90) * 1000), kind="ethernet")


@case()
def healthy_jitter(d):
    """A rate keeps the order, however the delay varies."""
    return World(f"rate=20mbit delay={d.rtt(30, 100) * 500}us jitter=3ms queue=300k", SINK, upload(d.randint(60, 200) * 1000),
                 client_sysctl=["tcp_congestion_control=cubic"])


@case()
def healthy_marked(d):
    return World(pipe(d, d.rtt(), 20, more="ecn=20k"), SINK, upload(300000),
                 client_sysctl=["tcp_ecn=1", "tcp_congestion_control=reno"], server_sysctl=["tcp_ecn=1"])


@case("client+cut", "server+cut")
def healthy_long(d):
    rtt = d.rtt()
    return World(f"delay={rtt * 500}us rate=40mbit", SINK,
                 ["connect server 80", f"repeat {d.randint(12, 20)}", f"write {d.randint(2000, 9000)}", "sleep 150ms", "end",
                  "close"])


@case()
def healthy_duplicates(d):
    """The path makes copies: nobody has retransmitted."""
    return World(f"delay={d.rtt() * 500}us rate=20mbit up.rule=dup:data:{d.randint(2, 9)} up.rule=dup:data:{d.randint(20, 30)}",
                 SINK, upload(80000), [Facts(may=("reordering",))])


@case()
def close_ways(d):
    rtt = d.rtt()
    return World(f"delay={rtt * 500}us", ["listen 80 backlog 16", "accept each", "read 1000", f"sleep {rtt * 3}ms", "close"],
                 [["connect server 80", "write 1000", f"sleep {rtt * 3}ms", "close"],
                  ["connect server 80", "write 1000", "read to end", "close"],
                  ["connect server 80", "write 1000", "shutdown", "read to end", "close"]], [Facts()] * 3)


# ---- Loss ----

@case("client+snap64", "server+vlan", "client+missing", "server+oneway", "client+v6", "server+twice", "client+both")
def loss_random(d):
    return World(pipe(d, d.rtt(), d.mbit(), more=f"up.loss={d.choice([0.5, 1, 2, 3])}%"), SINK, upload(d.randint(300, 600) * 1000),
                 client_sysctl=[d.control()])


@case("client+ns", "server+snap96", "client+cut", "client+twice", "server+v6")
def loss_bursts(d):
    return World(pipe(d, d.rtt(), d.mbit(), more=f"down.loss=2% down.burst={d.choice([3, 5])}"),
                 ["listen 80", "accept", "read 100", f"write {d.randint(300, 500)}k", "close"],
                 ["connect server 80", "write 100", "read to end", "close"], server_sysctl=[d.control()])


@case("server+oneway", "client+oneway")
def loss_windows_like(d):
    return World(pipe(d, d.rtt(), d.mbit(), more="up.loss=1%"), SINK, upload(400000),
                 client_sysctl=["tcp_timestamps=0", d.control()], server_sysctl=["tcp_timestamps=0"])


@case()
def loss_without_sack(d):
    return World(pipe(d, d.rtt(), d.mbit(), more="up.loss=1%"), SINK, upload(300000),
                 client_sysctl=["tcp_sack=0", d.control()], server_sysctl=["tcp_sack=0"])


@case()
def loss_one(d):
    return World(pipe(d, d.rtt(), d.mbit(), more=f"up.rule=drop:data:{d.randint(12, 30)}"), SINK, upload(120000),
                 client_sysctl=[d.control()])


@case()
def loss_queue_full(d):
    rtt, mbit = d.rtt(20, 80), d.mbit(5, 20)
    return World(pipe(d, rtt, mbit, queue=max(20000, mbit * 60 * rtt)), SINK, upload(d.randint(1000, 1500) * 1000),
                 client_sysctl=["tcp_congestion_control=reno"])


@case()
def loss_policed(d):
    return World(f"rate=100mbit delay={d.rtt(20, 80) * 500}us police={d.randint(4, 12)}mbit bucket=40k", SINK, upload(800000),
                 client_sysctl=[d.control()])


@case()
def loss_of_acks(d):
    """Later ones make up for those that got lost."""
    return World(pipe(d, d.rtt(), d.mbit(), more="down.rule=drop:ack:5-:every:7"), SINK, upload(150000), client_sysctl=[d.control()])


@case("server+snap96", "server+v6", n=3)
def corrupted(d):
    return World(pipe(d, d.rtt(), d.mbit(), more=f"up.rule=corrupt:data:{d.randint(5, 9)}-:every:40"), SINK, upload(300000),
                 client_sysctl=[d.control()])


@case("client+missing", "server+missing", "client+missing11")
def capture_loses(d):
    return World(pipe(d, d.rtt(), d.mbit()), SINK, upload(d.randint(90, 200) * 1000), client_sysctl=[d.control()])


# ---- Timers ----

@case("client+snap64", "client+sll", "client+v6", "client+both", n=3)
def tail(d):
    n = d.randint(4, 12)
    lost = d.choice([1, 2])
    return World(f"delay={d.rtt() * 500}us rate=20mbit up.rule=drop:data:{n - lost + 1}-{n}", SINK,
                 ["connect server 80", f"write {n * DATA_MSS}", "sleep 3s", "close"])


@case()
def tail_without_probes(d):
    n = d.randint(4, 12)
    return World(f"delay={d.rtt() * 500}us rate=20mbit up.rule=drop:data:{n}", SINK,
                 ["connect server 80", f"write {n * DATA_MSS}", "sleep 3s", "close"], client_sysctl=["tcp_early_retrans=0"])


@case()
def tail_of_questions(d):
    k = d.randint(3, 6)
    return World(f"delay={d.rtt() * 500}us up.rule=drop:data:{k}",
                 ["listen 80", "accept", "repeat forever", "read 200", "write 700", "end"],
                 ["connect server 80", "repeat 10", "write 200", "read 700", "sleep 600ms", "end", "close"])


@case("client+snap96", "client+vlan", n=3)
def timeout_outage(d):
    """Nothing gets through for a while, in the middle."""
    start = d.randint(200, 400)
    return World(pipe(d, d.rtt(20, 100), 5), SINK, upload(600000), client_sysctl=[d.control()],
                 timeline=[(f"{start}ms", "link 1 loss=100%"), (f"{start + d.randint(1500, 4000)}ms", "link 1 loss=0%")])


@case("client+ns", "client+v6", "client+twice")
def timeout_again(d):
    """The retransmission is lost as well, and the next."""
    return World(f"delay={d.rtt() * 500}us rate=20mbit up.rule=drop:data:4 up.rule=drop:data:{11}-{d.randint(12, 13)}", SINK,
                 ["connect server 80", f"write {10 * DATA_MSS}", "sleep 9s", "close"],
                 client_sysctl=["tcp_early_retrans=0", "tcp_sack=0", "tcp_recovery=0"])


@case()
def timeout_dead(d):
    """The other host is gone, and what is sent goes nowhere."""
    return World(f"delay={d.rtt() * 500}us", SINK, ["connect server 80", "write 2000", "sleep 2s", "write 1000", "read to end"],
                 [Facts(end="", may=("open", "closed", "never-closed"))], client_sysctl=["tcp_retries2=5"],
                 timeline=[("1s", "dead server")], until="60s")


@case()
def spurious_lost_ack(d):
    return World(f"delay={d.rtt() * 500}us down.rule=drop:ack:{1}-{2}", SINK, ["connect server 80", "write 900", "sleep 2s", "close"])


@case("client+snap96", "client+v6", "server+twice", n=3)
def spurious_delay(d):
    """The path stalls, and then everything arrives."""
    rtt, at = d.rtt(10, 60), d.randint(300, 500)
    return World(f"delay={rtt * 500}us rate=4mbit queue=64k", SINK, upload(400000), [Facts(may=("bufferbloat",))], client_sysctl=["tcp_congestion_control=reno"],
                 timeline=[(f"{at}ms", f"link 1 delay={d.randint(700, 1400)}ms"), (f"{at + 60}ms", f"link 1 delay={rtt * 500}us")])


@case()
def spurious_ack_path(d):
    """The acknowledgements of a whole flight are lost."""
    k = d.randint(2, 4)
    return World(f"delay={d.rtt() * 500}us rate=20mbit down.rule=drop:ack:{k}-{k + 9}", SINK,
                 ["connect server 80", f"write {10 * DATA_MSS}", "sleep 3s", "close"], client_sysctl=["tcp_early_retrans=0"])


# ---- Order ----

@case("server+vlan", "server+snap64", "server+v6", n=3)
def reordered(d):
    return World(f"rate=20mbit delay={d.rtt(20, 100) * 500}us up.reorder={d.choice([2, 3, 5])}%", SINK, upload(350000),
                 client_sysctl=[d.control()])


@case()
def reordered_a_little(d):
    return World(f"rate=20mbit delay={d.rtt(20, 100) * 500}us up.rule=delay:data:{d.randint(8, 14)}:3ms "
                 f"up.rule=delay:data:{d.randint(25, 35)}:3ms", SINK, upload(150000))


# ---- Flow ----

@case("client+snap64", "server+ns", "client+oneway", "server+v6", "client+both", n=3)
def window_shut(d):
    return World(f"delay={d.rtt() * 500}us", [f"set rcvbuf {d.choice([8, 16, 32])}k", "listen 80", "accept",
                                              f"sleep {d.randint(1, 4)}s", "read to end", "close"], upload(d.randint(80, 150) * 1000))


@case()
def window_shut_down(d):
    """The client is the one that does not read."""
    return World(f"delay={d.rtt() * 500}us rate=50mbit", ["listen 80", "accept", "read 100", "write 120k", "close"],
                 ["set rcvbuf 16k", "connect server 80", "write 100", "sleep 2s", "read to end", "close"])


@case("server+sll", "server+v6", n=3)
def window_small(d):
    """Never shut, always too small for the path."""
    return World(f"delay={d.rtt(60, 200) * 500}us rate=50mbit", [f"set rcvbuf {d.choice([12, 20, 30])}k", *SINK], upload(300000))


@case("client+v6", "client+snap64", n=3)
def buffer_small(d):
    """The sender's buffer is too small for the path."""
    return World(f"delay={d.rtt(60, 200) * 500}us rate=50mbit", SINK, upload(1200000, f"set sndbuf {d.choice([12, 18, 24])}k"))


@case("client+v6", "client+twice", n=3)
def program_slow(d):
    return World(f"delay={d.rtt(8, 60) * 500}us rate=50mbit", SINK,
                 ["connect server 80", f"repeat {d.randint(15, 25)}", f"write {d.randint(3, 6)}k", f"sleep {d.randint(250, 400)}ms",
                  "end", "close"])


@case("server+ns", n=3)
def path_slow(d):
    mbit, rtt = d.mbit(2, 6), d.rtt(20, 60)
    return World(pipe(d, rtt, mbit, queue=max(20000, mbit * 125 * rtt)), SINK, upload(700000), client_sysctl=[d.control()])


@case("client+snap64", "server+null", "client+v6", "client+twice", n=3)
def nagle(d):
    n = d.randint(6, 12)
    return World(f"delay={d.rtt(4, 25) * 500}us", ["listen 80", "accept each", "repeat forever", "read 200", "write 50", "end"],
                 ["connect server 80", f"repeat {n}", "write 100", "write 100", "read 50", "end", "close"],
                 [Facts(must=("nagle-delayed-ack",), may=("limit-sender", "limit-application"))])


@case()
def nagle_not(d):
    """TCP_NODELAY; and a server that thinks for 40 ms, which looks alike."""
    return World(f"delay={d.rtt(4, 25) * 500}us",
                 ["listen 80", "accept each", "repeat forever", "read 200", "sleep 40ms", "write 50", "end"],
                 [["set nodelay 1", "connect server 80", "repeat 8", "write 100", "write 100", "read 50", "end", "close"],
                  ["connect server 80", "repeat 8", "write 200", "read 50", "end", "close"]], [Facts()] * 2)


# ---- Queues ----

@case("client+snap64", "client+ns", "client+v6", "client+both", n=3)
def bloat(d):
    rtt, mbit = d.rtt(10, 40), d.randint(2, 5)
    return World(pipe(d, rtt, mbit, queue=mbit * 125 * d.randint(400, 900)), SINK, upload(mbit * 300000, "set sndbuf 4m"),
                 client_sysctl=["tcp_congestion_control=cubic", "tcp_cubic.parameters.hystart=0"],
                 server_sysctl=["tcp_rmem=4096 4194304 6291456"])


@case()
def bloat_not(d):
    """A long path is no long queue, and CoDel keeps one short."""
    if d.random() < 0.5:
        return World(pipe(d, d.rtt(200, 400), 10), SINK, upload(300000), client_sysctl=[d.control()])
    return World(pipe(d, 20, 5, queue=400000, more="codel=5ms"), SINK, upload(1000000),
                 client_sysctl=["tcp_congestion_control=cubic"])


# ---- Beginnings ----

@case("client+vlan", "client+snap64", "client+v6", "server+twice")
def refused(d):
    return World(f"delay={d.rtt() * 500}us", ["listen 81", "accept"], [["connect server 80"], ("1s", ["connect server 82"])],
                 [Facts("", must=("refused",))] * 2)


@case("client+ns")
def filtered(d):
    """One port answers, the other's SYNs are dropped."""
    rtt = d.rtt()
    return World(f"delay={rtt * 500}us up.rule=drop:syn:2-", ["listen 81", "accept", "read 100", "write 100", "close"],
                 [["connect server 81", "write 100", "read to end", "close"], ("1s", ["connect server 80"])],
                 [Facts(), Facts("", client=("no-answer-filtered",))], client_sysctl=["tcp_syn_retries=3"], until="30s")


@case(n=3)
def dead(d):
    """It does not even answer ARP, so that no SYN is sent."""
    return World(f"delay={d.rtt() * 500}us", ["listen 80", "accept"], [("1s", ["connect server 80"])], [], kind="ethernet",
                 timeline=[("0s", "dead server")], until="30s", network=(("no-answer-dead",), ()))


@case("client+snap64", n=3)
def dead_since(d):
    """It was there, and its neighbour's address is still known, but is asked for again in vain."""
    return World(f"delay={d.rtt() * 500}us", ["listen 80", "accept each", "read 100", "write 100", "close"],
                 [["connect server 80", "write 100", "read to end", "close"], (f"{d.randint(90, 200)}s", ["connect server 80"])],
                 [Facts(), Facts("", client=("no-answer-dead",))], kind="ethernet", timeline=[("70s", "dead server")],
                 until="300s", network=(("no-answer-dead?",), ()))


@case("client+vlan")
def silent(d):
    return World(f"delay={d.rtt() * 500}us", ["listen 80", "accept"], ["connect server 80"],
                 [Facts("", client=("no-answer",))], timeline=[("0s", "dead server")], client_sysctl=["tcp_syn_retries=3"],
                 until="30s")


@case("client+snap64", "client+v6", "client+twice", "client+both")
def syn_lost(d):
    return World(f"delay={d.rtt() * 500}us up.rule=drop:syn:1-{d.randint(1, 2)}", SINK, upload(4000), [Facts(may=("path-loss",))])


@case("client+ns")
def syn_ack_lost(d):
    return World(f"delay={d.rtt() * 500}us down.rule=drop:synack:1-{d.randint(1, 2)}", SINK, upload(4000),
                 [Facts(may=("path-loss",))])


@case(n=3)
def accept_queue(d):
    n = d.randint(4, 7)
    stuck = Facts(client=("syn-retries|backlog-overflow",), server=("backlog-overflow",),
                  may=("syn-retries", "rto", "path-loss", "spurious-retransmission", "tail-loss"))
    return World(f"delay={d.rtt(4, 40) * 500}us", ["listen 80 backlog 1", f"sleep {d.randint(3, 6)}s", "accept each", "read 100",
                                                   "write 1k", "close"],
                 [(f"{10 + 50 * k}ms", ["connect server 80", "write 100", "read to end", "close"]) for k in range(n)],
                 [Facts(may=("rto", "tail-loss"))] * 2 + [stuck] * (n - 2), server_sysctl=["tcp_syncookies=0"])


@case(n=3)
def accept_queue_resets(d):
    """As many as it takes first, and then more at a time than there is room for: one fits."""
    backlog = d.randint(1, 3)
    steps = ["connect server 80", "write 100", "read to end", "close"]
    waits = Facts(may=("rto", "tail-loss"))
    return World(f"delay={d.rtt(4, 40) * 500}us", [f"listen 80 backlog {backlog}", "sleep 3s", "accept each", "read 100", "write 1k",
                                                   "close"],
                 [(f"{10 + 100 * k}ms", steps) for k in range(backlog)] + [("1s", steps)] * (backlog + 1),
                 [waits] * (backlog + 1) + [Facts("", must=("reset-backlog",))] * backlog,
                 server_sysctl=["tcp_syncookies=0", "tcp_abort_on_overflow=1"])


@case("client+vlan", "server+twice", "client+v6", n=3)
def port_again(d):
    again = Facts(must=("port-reuse",))
    steps = ["port 40000", "connect server 80", "write 100", "read to end", "close"]
    return World(f"delay={d.rtt() * 500}us", ["listen 80", "accept each", "read 100", "write 500", "close"],
                 [("10ms", steps), (f"{d.randint(2, 9)}s", steps), (f"{d.randint(12, 20)}s", steps)], [Facts(), again, again])


# ---- Ends ----

@case("client+snap64", "server+vlan")
def reset_closed(d):
    """The server closes, and data comes after it."""
    rtt = d.rtt()
    return World(f"delay={rtt * 500}us", ["listen 80", "accept", "read 1000", "close"],
                 ["connect server 80", "write 1000", f"sleep {rtt * 4 + d.randint(100, 900)}ms", "write 1000", "sleep 1s"],
                 [Facts("", must=("reset-closed-socket",), may=("closed", "never-closed"))])


@case("client+ns")
def reset_half_open(d):
    return World(f"delay={d.rtt() * 500}us", ["listen 80", "accept", "read 100", "sleep 1s", "abort"],
                 ["connect server 80", "write 100", f"sleep {d.randint(6, 25)}s", "write 100", "read to end"],
                 [Facts("", client=("reset-half-open",), server=("reset-half-open|reset-abort",))],
                 timeline=[("1s", "dead server"), ("5s", "alive server")])


@case("client+snap64", n=3)
def reset_nat(d):
    """A box between forgets the silent connection, and answers in the server's name."""
    rtt, idle = d.rtt(), d.randint(90, 600)
    forget = [(f"{idle}s", "link 1 up.loss=100%")]
    return World(f"delay={rtt * 500}us", ["listen 80", "accept", "read 100", "write 300", "read to end"],
                 ["port 40000", "connect server 80", "write 100", "read 300", f"sleep {idle + 10}s", "write 100", "read to end"],
                 [Facts("", client=("reset-idle-nat",), may=("path-loss", "open"))], timeline=forget, until=f"{idle + 60}s",
                 vantages=(0,),
                 isn_for=lambda isn, spoke: [(f"{spoke + rtt * 300000}ns", f"forge server client 80 40000 R seq={(isn + 301) % 2**32}")])


@case("server+vlan", "client+snap64")
def reset_unread(d):
    """Closed with data that nobody has read."""
    size = d.randint(500, 8000)
    return World(f"delay={d.rtt() * 500}us", ["listen 80", "accept", f"sleep {d.randint(200, 900)}ms", "close"],
                 ["connect server 80", f"write {size}", "read to end"], [Facts("", must=("reset-unread",))])


@case("server+sll", "client+twice")
def reset_abort(d):
    return World(f"delay={d.rtt() * 500}us", SINK,
                 ["set linger 0", "connect server 80", "write 100", f"sleep {d.randint(300, 900)}ms", "close"],
                 [Facts("", must=("reset-abort",))])


@case()
def reset_abort_server(d):
    return World(f"delay={d.rtt() * 500}us", ["listen 80", "accept", "read 100", "write 500", f"sleep {d.randint(300, 2000)}ms", "abort"],
                 ["connect server 80", "write 100", "read to end"], [Facts("", must=("reset-abort",))])


@case("client+snap64")
def never_closed(d):
    return World(f"delay={d.rtt() * 500}us", ["listen 80", "accept", "read 1000", "write 200", "sleep 300s"],
                 ["connect server 80", "write 1000", "read 200", "close"], until="50s")


@case("server+vlan")
def still_open(d):
    return World(f"delay={d.rtt() * 500}us", ["listen 80", "accept", "read 1000", "write 200", "sleep 300s"],
                 ["connect server 80", "write 1000", "read 200", "sleep 300s"], until=f"{d.randint(5, 50)}s")


@case("server+snap64", "server+v6", "server+twice", n=3)
def keepalive(d):
    """The client is dead, and the server asks for it."""
    return World(f"delay={d.rtt() * 500}us",
                 ["set keepalive 1", f"set keepidle {d.randint(10, 20)}", f"set keepintvl {d.randint(2, 4)}", "set keepcnt 4",
                  "listen 80", "accept", "read to end"], ["connect server 80", "write 100", "sleep 1000s"],
                 [Facts("", server=("keepalive-death",), client=("open",))], timeline=[("5s", "dead client")], until="200s")


@case()
def keepalive_alive(d):
    return World(f"delay={d.rtt() * 500}us", ["set keepalive 1", f"set keepidle {d.randint(5, 9)}", "set keepintvl 2", "listen 80",
                                              "accept", "read to end", "close"],
                 ["connect server 80", "write 100", f"sleep {d.randint(30, 60)}s", "close"], until="100s")


# ---- Sizes ----

@case("client+snap64", "server+v6", "server+twice", n=3)
def black_hole(d):
    """No packet above some size gets through, and nobody says so: a policer whose bucket is smaller than it."""
    bucket = d.randint(700, 1400)
    return World(f"delay={d.rtt() * 500}us rate=50mbit police=1gbit bucket={bucket}b",
                 ["listen 80", "accept", "read 300", f"write {d.randint(20, 60)}k", "close"],
                 ["connect server 80", "write 300", "read to end"],
                 [Facts("", server=("mtu-black-hole",), may=("open", "never-closed", "path-loss", "rto", "tail-loss"))],
                 server_sysctl=["tcp_retries2=7"], until="90s")


@case()
def black_hole_not(d):
    """The same path, and a clamped MSS."""
    return World(f"delay={d.rtt() * 500}us rate=50mbit police=1gbit bucket=1300b", SINK, upload(90000, "set maxseg 1200"))
