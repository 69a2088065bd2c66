# -4, -6, IPv4-mapped addresses, dual-stack listeners, a port bound on loopback, and -p for UDP.
. "$TESTS/lib.sh"
need python3
port=$(free_port)
python3 - "$port" <<'P' &
import socket, sys
s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(("::", int(sys.argv[1])))
s.listen()
while True:
    c, a = s.accept()
    c.sendall(repr(a[0]).encode())
    c.close()
P
host=$!
until_true 5 grep -q ":$(printf %04X "$port") 0" /proc/net/tcp6
cat >try.py <<'P'
import socket, sys
port = int(sys.argv[1])
def families():
    out = []
    for f in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.socket(f).close()
            out.append(f.name)
        except OSError as e:
            out.append(e.strerror)
    return out
if len(sys.argv) > 2:
    print(families())
    sys.exit()
a = socket.socket(socket.AF_INET6)
a.connect(("::ffff:127.0.0.1", port))
print(a.getpeername()[0], a.getsockname()[0], a.recv(100))
b = socket.socket()
b.bind(("127.0.0.1", 0))
mine = b.getsockname()
b.connect(("127.0.0.1", port))
print(b.getsockname() == mine, b.getpeername()[0], b.recv(100))
l = socket.socket(socket.AF_INET6)
l.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
l.bind(("::", 0))
l.listen()
for to in ("127.0.0.1", "::1"):
    c = socket.create_connection((to, l.getsockname()[1]))
    s, who = l.accept()
    print(who[0], c.getpeername()[0], who[1] == c.getsockname()[1])
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.setsockopt(socket.IPPROTO_IP, 8, 1)
u.bind(("127.0.0.1", 0))
v = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
v.sendto(b"x" * 3000, u.getsockname())
data, cmsg, flags, who = u.recvmsg(2000, 100)
print(len(data), cmsg[0][2][4:12], flags == socket.MSG_TRUNC, who[1] == v.getsockname()[1])
P
python3 try.py "$port" >kernel
run -- python3 try.py "$port" >weir || fail "exit $?"
diff kernel weir || fail "weir answers otherwise"
no='Address family not supported by protocol'
equal -4 "$(run -4 -- python3 try.py "$port" -)" "['AF_INET', '$no']"
equal -6 "$(run -6 -- python3 try.py "$port" -)" "['$no', 'AF_INET6']"

udp=$(free_port udp)
"$WEIR" run -q -p "127.0.0.1:$udp:4000/udp" -- python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 4000))
open("ready", "w").close()
for _ in range(2):
    data, who = s.recvfrom(2000)
    s.sendto(data.upper() + who[0].encode(), who)' &
until_true 5 test -e ready
got=$(python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
for word in (b'one', b'two'):
    s.sendto(word, ('127.0.0.1', $udp))
    print(s.recv(100).decode(), end=' ')")
equal 'UDP behind -p' "$got" 'ONE127.0.0.1 TWO127.0.0.1 '
kill $host
