# A client of -p that uses its port again at once: another connection, whatever the link still has of the last one.
. "$TESTS/lib.sh"
need python3
cat >server.py <<'P'
import socket
s = socket.create_server(("0.0.0.0", 4100))
while True:
    c, peer = s.accept()
    who = c.recv(1)
    if who:
        c.sendall(b"%d\n" % peer[1])
    if who == b"c":  # the client is to close first
        c.recv(1)
    c.close()
P
cat >client.py <<'P'
import errno, socket, sys, time
port, who, same = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3] == "same"
own, times, until = 0, 0, time.monotonic() + 20
while times < 3:
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", own))
    try:
        s.connect(("127.0.0.1", port))
    except OSError as e:  # the client's own TIME-WAIT: a second on loopback, unless tcp_tw_reuse is off
        if e.errno != errno.EADDRNOTAVAIL or time.monotonic() > until:
            raise
        s.close()
        time.sleep(0.1)
        continue
    own = s.getsockname()[1]
    s.sendall(who)
    said = s.makefile("rb").readline()
    assert said and (not same or int(said) == own), (said, own)
    if who == b"s":
        assert s.recv(1) == b""
    s.close()
    times += 1
P
# behind LINK WHO SAME: WHO (s, c) closes first.
behind()
{
    local p server
    p=$(free_port)
    "$WEIR" run -q --link "$1" -p "$p:4100" -- python3 server.py &
    server=$!
    until_true 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$p"
    python3 client.py "$p" "$2" "$3" || fail "link $1, first to close $2"
    kill $server
    wait $server
    equal "how the run ended" $? 143
}
behind delay=1ms c same
behind delay=300ms s any
