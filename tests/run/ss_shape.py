"""Do lines of weir ss -tinoemO have the shape of ss's? ss_shape.py WEIR LINUX. Values differ; words and their order do not."""
import re
import sys

# What one TCP has to tell of and the other not, at that moment.
CHANCE = set("""timer ssthresh bytes_retrans ato backoff busy rwnd_limited sndbuf_limited unacked retrans lost sacked dsack_dups reordering
reord_seen rcv_rtt notsent minrtt rcv_ooopack app_limited lastsnd lastrcv lastack bytes_received bytes_sent bytes_acked segs_in segs_out
data_segs_in data_segs_out delivered delivery_rate bbr cubic reno dctcp rcvmss""".split())
ONLY_LINUX = {"cgroup", "uid", "fwmark"}
ONLY_WEIR = {"parked", "rcv_wnd", "rehash"}  # newer than this ss, but for the first


def words(path):
    """Of each line the columns, and the names of what follows in their order."""
    with open(path) as f:
        lines = f.read().splitlines()
    head, out = lines[0].split(), []
    for line in lines[1:]:
        fields = line.split()
        assert re.fullmatch(r"[A-Z0-9-]+", fields[0]), line
        assert fields[1].isdigit() and fields[2].isdigit(), line
        assert all(re.fullmatch(r"(\S+):(\d+|\*)", end) for end in fields[3:5]), line
        names = []
        for field in fields[5:]:
            if re.fullmatch(r"[0-9./]+bps", field):  # a value of the word before it
                continue
            names.append(field if re.fullmatch(r"[<-]-[->]", field) else re.split(r"[:(]", field)[0])
        out.append(["<->" if re.fullmatch(r"[<-]-[->]", n) else n for n in names])
    return head, out


weir_head, weir = words(sys.argv[1])
linux_head, linux = words(sys.argv[2])
assert weir_head == linux_head, (weir_head, linux_head)
assert len(weir) == len(linux), (len(weir), len(linux))
order = {}
for line in linux:
    for name in line:
        order.setdefault(name, len(order))
for line in weir:
    for name in line:
        assert name in order or name in CHANCE | ONLY_WEIR, f"ss has no {name}: {line}"
known = lambda line, other: [n for n in line if n in other]
for a in weir:
    for b in linux:
        common = set(a) & set(b)
        assert known(a, common) == known(b, common), (a, b)
missing = {n for line in linux for n in line} - {n for line in weir for n in line} - CHANCE - ONLY_LINUX
assert not missing, f"weir ss does not tell of {missing}"
