# Names resolve: the resolver's UDP crosses the link. The name server is one of our own, on the host's loopback.
. "$TESTS/lib.sh"
need dig python3
p=$(free_port udp)
python3 - "$p" <<'P' &
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", int(sys.argv[1])))
while True:
    q, who = s.recvfrom(4096)
    end = q.index(b"\0", 12) + 5
    s.sendto(q[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + q[12:end] + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\x07", who)
P
server=$!
until_true 5 listens "$p" udp
equal answer "$(run -- dig +short +tries=2 @127.0.0.1 -p "$p" name.example)" 192.0.2.7
equal again "$(run --link 'delay=20ms' -- dig +short +tries=2 @127.0.0.1 -p "$p" name.example)" 192.0.2.7
kill $server
# Refused, said by an ICMP error across the link: at once, not after a timeout.
began=$SECONDS
run -- dig +short +tries=1 +time=20 @127.0.0.1 -p "$p" name.example >/dev/null
[ $((SECONDS - began)) -lt 10 ] || fail "a refused datagram was not noticed"
