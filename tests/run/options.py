"""Every socket option there is a number for, one line each: options.sh compares what the kernel and weir say.

For each option at SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6 and IPPROTO_TCP, on a fresh, a listening and a connected socket: the
default, what get says of other lengths, what set says of values and lengths, and what get says afterwards.

    options.py 4|6 stream|dgram            print the lines
    options.py compare KERNEL WEIR         and say where weir's answers differ from the kernel's without a reason that is known

An option that weir refuses is one that no set and no get succeeds with. Every other must answer as the kernel's does, but for EXPLAINED.
"""
import errno, re, socket, struct, sys

FAMILY = socket.AF_INET6 if sys.argv[1] == '6' else socket.AF_INET
LO = '::1' if sys.argv[1] == '6' else '127.0.0.1'
KIND = socket.SOCK_DGRAM if sys.argv[2] == 'dgram' else socket.SOCK_STREAM
INT = [0, 1, 2, 5, 88, 1000, 65536, 0x7fffffff, -1, -2]

NAMES = {
    socket.SOL_SOCKET: (1, 'SO', dict(
        DEBUG=1, REUSEADDR=2, TYPE=3, ERROR=4, DONTROUTE=5, BROADCAST=6, SNDBUF=7, RCVBUF=8, KEEPALIVE=9, OOBINLINE=10,
        NO_CHECK=11, PRIORITY=12, LINGER=13, BSDCOMPAT=14, REUSEPORT=15, PASSCRED=16, PEERCRED=17, RCVLOWAT=18,
        SNDLOWAT=19, RCVTIMEO=20, SNDTIMEO=21, BINDTODEVICE=25, ATTACH_FILTER=26, DETACH_FILTER=27, PEERNAME=28,
        TIMESTAMP=29, ACCEPTCONN=30, PEERSEC=31, SNDBUFFORCE=32, RCVBUFFORCE=33, PASSSEC=34, TIMESTAMPNS=35, MARK=36,
        TIMESTAMPING=37, PROTOCOL=38, DOMAIN=39, RXQ_OVFL=40, WIFI_STATUS=41, PEEK_OFF=42, NOFCS=43, LOCK_FILTER=44,
        SELECT_ERR_QUEUE=45, BUSY_POLL=46, MAX_PACING_RATE=47, BPF_EXTENSIONS=48, INCOMING_CPU=49, ATTACH_BPF=50,
        ATTACH_REUSEPORT_CBPF=51, ATTACH_REUSEPORT_EBPF=52, CNX_ADVICE=53, MEMINFO=55, INCOMING_NAPI_ID=56, COOKIE=57,
        PEERGROUPS=59, ZEROCOPY=60, TXTIME=61, BINDTOIFINDEX=62, TIMESTAMP_NEW=63, TIMESTAMPNS_NEW=64,
        TIMESTAMPING_NEW=65, RCVTIMEO_NEW=66, SNDTIMEO_NEW=67, DETACH_REUSEPORT_BPF=68, PREFER_BUSY_POLL=69,
        BUSY_POLL_BUDGET=70, NETNS_COOKIE=71, BUF_LOCK=72, RESERVE_MEM=73, TXREHASH=74, RCVMARK=75, PASSPIDFD=76,
        PEERPIDFD=77, DEVMEM_LINEAR=78, DEVMEM_DMABUF=79, DEVMEM_DONTNEED=80, RCVPRIORITY=82, PASSRIGHTS=83, INQ=84)),
    socket.IPPROTO_IP: (0, 'IP', dict(
        TOS=1, TTL=2, HDRINCL=3, OPTIONS=4, ROUTER_ALERT=5, RECVOPTS=6, RETOPTS=7, PKTINFO=8, PKTOPTIONS=9,
        MTU_DISCOVER=10, RECVERR=11, RECVTTL=12, RECVTOS=13, MTU=14, FREEBIND=15, IPSEC_POLICY=16, XFRM_POLICY=17,
        PASSSEC=18, TRANSPARENT=19, ORIGDSTADDR=20, MINTTL=21, NODEFRAG=22, CHECKSUM=23, BIND_ADDRESS_NO_PORT=24,
        RECVFRAGSIZE=25, RECVERR_RFC4884=26, MULTICAST_IF=32, MULTICAST_TTL=33, MULTICAST_LOOP=34, ADD_MEMBERSHIP=35,
        DROP_MEMBERSHIP=36, UNBLOCK_SOURCE=37, BLOCK_SOURCE=38, ADD_SOURCE_MEMBERSHIP=39, DROP_SOURCE_MEMBERSHIP=40,
        MSFILTER=41, MCAST_JOIN_GROUP=42, MCAST_BLOCK_SOURCE=43, MCAST_UNBLOCK_SOURCE=44, MCAST_LEAVE_GROUP=45,
        MCAST_JOIN_SOURCE_GROUP=46, MCAST_LEAVE_SOURCE_GROUP=47, MCAST_MSFILTER=48, MULTICAST_ALL=49, UNICAST_IF=50,
        LOCAL_PORT_RANGE=51, PROTOCOL=52)),
    socket.IPPROTO_IPV6: (41, 'IPV6', dict(
        ADDRFORM=1, PKTINFO_2292=2, HOPOPTS_2292=3, DSTOPTS_2292=4, RTHDR_2292=5, PKTOPTIONS_2292=6, CHECKSUM=7,
        HOPLIMIT_2292=8, NEXTHOP=9, FLOWINFO=11, UNICAST_HOPS=16, MULTICAST_IF=17, MULTICAST_HOPS=18, MULTICAST_LOOP=19,
        ADD_MEMBERSHIP=20, DROP_MEMBERSHIP=21, ROUTER_ALERT=22, MTU_DISCOVER=23, MTU=24, RECVERR=25, V6ONLY=26,
        JOIN_ANYCAST=27, LEAVE_ANYCAST=28, MULTICAST_ALL=29, ROUTER_ALERT_ISOLATE=30, RECVERR_RFC4884=31,
        FLOWLABEL_MGR=32, FLOWINFO_SEND=33, IPSEC_POLICY=34, XFRM_POLICY=35, HDRINCL=36, RECVPKTINFO=49, PKTINFO=50,
        RECVHOPLIMIT=51, HOPLIMIT=52, RECVHOPOPTS=53, HOPOPTS=54, RTHDRDSTOPTS=55, RECVRTHDR=56, RTHDR=57,
        RECVDSTOPTS=58, DSTOPTS=59, RECVPATHMTU=60, PATHMTU=61, DONTFRAG=62, RECVTCLASS=66, TCLASS=67, AUTOFLOWLABEL=70,
        ADDR_PREFERENCES=72, MINHOPCOUNT=73, ORIGDSTADDR=74, TRANSPARENT=75, UNICAST_IF=76, RECVFRAGSIZE=77,
        FREEBIND=78)),
    socket.IPPROTO_TCP: (6, 'TCP', dict(
        NODELAY=1, MAXSEG=2, CORK=3, KEEPIDLE=4, KEEPINTVL=5, KEEPCNT=6, SYNCNT=7, LINGER2=8, DEFER_ACCEPT=9,
        WINDOW_CLAMP=10, INFO=11, QUICKACK=12, CONGESTION=13, MD5SIG=14, COOKIE_TRANSACTIONS=15, THIN_LINEAR_TIMEOUTS=16,
        THIN_DUPACK=17, USER_TIMEOUT=18, REPAIR=19, REPAIR_QUEUE=20, QUEUE_SEQ=21, REPAIR_OPTIONS=22, FASTOPEN=23,
        TIMESTAMP=24, NOTSENT_LOWAT=25, CC_INFO=26, SAVE_SYN=27, SAVED_SYN=28, REPAIR_WINDOW=29, FASTOPEN_CONNECT=30,
        ULP=31, MD5SIG_EXT=32, FASTOPEN_KEY=33, FASTOPEN_NO_COOKIE=34, ZEROCOPY_RECEIVE=35, INQ=36, TX_DELAY=37,
        AO_ADD_KEY=38, AO_DEL_KEY=39, AO_INFO=40, AO_GET_KEYS=41, AO_REPAIR=42, IS_MPTCP=43, RTO_MAX_MS=44,
        RTO_MIN_US=45, DELACK_MAX_US=46)),
}


def fail(e):
    return errno.errorcode.get(e.errno, str(e.errno))


def get(s, level, name, room):
    try:
        v = s.getsockopt(level, name, room)
    except OSError as e:
        return fail(e)
    if len(v) == 4:
        return str(struct.unpack('i', v)[0])
    return '%d bytes' % len(v) if len(v) > 16 else v.hex() or 'empty'


def put(s, level, name, value):
    try:
        s.setsockopt(level, name, value)
    except OSError as e:
        return fail(e)
    return 'ok'


def fresh():
    return socket.socket(FAMILY, KIND)


def in_state(state):
    """A socket in the state, and what must live as long."""
    s = fresh()
    if state == 'fresh':
        return s, None
    if KIND == socket.SOCK_DGRAM:
        s.connect((LO, 9))
        return s, None
    if state == 'listening':
        s.bind((LO, 0))
        s.listen(5)
        return s, None
    lobby = socket.socket(FAMILY, KIND)
    lobby.bind((LO, 0))
    lobby.listen(5)
    s.connect(lobby.getsockname())
    other, _ = lobby.accept()
    return s, (lobby, other)


def probe(state, level, number):
    """Nothing that a set leaves behind may matter to the next: a socket each."""
    s, keep = in_state(state)
    yield 'get ' + ' '.join(get(s, level, number, room) for room in (4, 64, 1, 3))
    for value in INT:
        s2, keep2 = in_state(state)
        said = put(s2, level, number, value)
        yield 'set %d %s then %s' % (value, said, get(s2, level, number, 4))
        s2.close()
    for size in (0, 1, 3, 8, 16):
        s2, keep2 = in_state(state)
        said = put(s2, level, number, b'\1' * size)
        yield 'set of %d bytes %s then %s' % (size, said, get(s2, level, number, 4))
        s2.close()
    s.close()


# Where the two may differ, and why. A pattern of the line's beginning.
EXPLAINED = [
    (r'SO_(SNDBUF|RCVBUF)\w* ', 'buffers grow with the path, and the machine has its own limits'),
    (r'SO_RCVLOWAT ', "the mirror's: half of the kernel's own tcp_rmem bounds it there"),
    (r'SO_(RCV|SND)TIMEO ', "the mirror's: times are rounded to the machine's clock tick"),
    (r'SO_PEEK_OFF ', "the mirror's"),
    (r'SO_COOKIE ', 'any number will do'),
    (r'SO_(SNDBUFFORCE|RCVBUFFORCE|BINDTODEVICE) ', 'the kernel asks for privileges, weir for none'),
    (r'(IP|IPV6)_TRANSPARENT ', 'a program must not pretend to other addresses; the kernel asks for privileges'),
    (r'SO_MEMINFO ', "the kernel's own memory"),
    (r'SO_BINDTOIFINDEX \w+: set ', 'the kernel asks for privileges to bind anew'),
    (r'SO_(MAX_PACING_RATE|ZEROCOPY) ', 'a stream alone is paced, and told of copies'),
    (r'SO_TIMESTAMPING ', 'datagrams are not stamped'),
    (r'IPV?6?_MTU ', "the link's: the kernel's loopback is wider"),
    (r'IPV?6?_(MULTICAST_IF|MULTICAST_HOPS|(ADD|DROP)_MEMBERSHIP) ', 'the interfaces are others'),
    (r'IPV6_UNICAST_HOPS \w+: set 0 ', 'a hop limit of 0 reaches nobody: weir refuses it'),
    (r'TCP_MAXSEG ', "the link's: the kernel's loopback is wider"),
    (r'TCP_WINDOW_CLAMP connected', 'the window follows from the segment size'),
    (r'TCP_(RTO_MIN_US|DELACK_MAX_US) ', "the kernel rounds to its clock tick"),
    (r'TCP_(TIMESTAMP|INFO) ', 'measured, or a clock'),
    (r'TCP_(CONGESTION|CC_INFO) ', 'the machine has its own default'),
    (r'TCP_FASTOPEN_KEY ', 'each has its own keys'),
]


def lines_of(path):
    with open(path, encoding='ascii') as f:
        return [line.rstrip('\n') for line in f]


def refused(lines):
    """Options with which nothing succeeds: 'X state: what they say'."""
    tried, ok = set(), set()
    for line in lines:
        name, said = line.split(' ', 1)
        said = said.split(': ', 1)[1]
        tried.add(name)
        if not re.fullmatch(r'(get|set -?\d+|set of \d+ bytes)(( then)? [A-Z]\w+)+', said):
            ok.add(name)
    return tried - ok


def compare(kernel, weir):
    kernel, weir = lines_of(kernel), lines_of(weir)
    if len(kernel) != len(weir) or len(kernel) < 1000:
        print('%d lines by the kernel, %d by weir' % (len(kernel), len(weir)))
        return 1
    none = refused(weir)
    wrong = 0
    for a, b in zip(kernel, weir):
        name = a.split(' ', 1)[0]
        if a == b or name in none or any(re.match(p, a) for p, _ in EXPLAINED):
            continue
        print('kernel: %s\nweir:   %s' % (a, b))
        wrong += 1
    odd = [name for name in sorted(none) if not all(re.search(r'ENOPROTOOPT|EINVAL|ENOTSUP', x) for x in weir
                                                    if x.startswith(name + ' '))]
    if odd:
        print('refused, but not as unknown:', *odd)
    print('%d options, %d of them refused, %d answers that differ' % (len({x.split(' ', 1)[0] for x in weir}), len(none), wrong))
    return 1 if wrong or odd else 0


def main():
    if sys.argv[1] == 'compare':
        sys.exit(compare(sys.argv[2], sys.argv[3]))
    states = ['fresh', 'listening', 'connected'] if KIND == socket.SOCK_STREAM else ['fresh', 'connected']
    for level, (_, prefix, table) in NAMES.items():
        if prefix == 'TCP' and KIND == socket.SOCK_DGRAM:
            continue
        for name, number in table.items():
            for state in states:
                for line in probe(state, level, number):
                    print('%s_%s %s: %s' % (prefix, name, state, line))
    sys.stdout.flush()


main()
