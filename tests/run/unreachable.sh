# What the host can't reach the program can't reach either, and is told so in the same words. In a network of its own.
. "$TESTS/lib.sh"
need python3 unshare ip
unshare -rn true 2>/dev/null || {
    echo "skip: no network namespace can be made here"
    exit 77
}
cat >ask.py <<'P'
import socket
def tell(what, call):
    try:
        print(what, call())
    except OSError as e:
        print(what, e.strerror)
def tcp(host, port):
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    s.settimeout(10)
    return s.connect((host, port))
def udp(host, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(10)
    s.connect((host, port))
    s.send(b"x")
    return s.recvfrom(10)
tell("refused", lambda: tcp("127.0.0.1", 1))
tell("refused", lambda: tcp("::1", 1))
tell("network", lambda: tcp("198.51.100.1", 1))
tell("host", lambda: tcp("192.0.2.1", 1))
tell("udp refused", lambda: udp("127.0.0.1", 1))
P
unshare -rn sh -c '
    ip link set lo up
    ip route add unreachable 192.0.2.0/24
    python3 ask.py >kernel
    "$WEIR" run -q -- python3 ask.py >weir' || fail "exit $?"
diff kernel weir || fail "weir answers otherwise"
