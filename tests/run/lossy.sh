# timeout: 300
# 64 MiB, byte for byte: clean and over a bad link, both families, up too.
. "$TESTS/lib.sh"
need curl python3
bad='loss=2% reorder=2% dup=1% corrupt=0.5% delay=10ms'
mkdir www
blob www/file $((64 << 20))
serve www ::
for host in 127.0.0.1 '[::1]'; do
    run -- curl -sS -o got "http://$host:$port/file" || fail "clean, $host: exit $?"
    same got www/file
    run --seed 7 --link "$bad" -- curl -sS -o got "http://$host:$port/file" || fail "bad, $host: exit $?"
    same got www/file
done
up=$(free_port)
python3 - "$up" <<'P' &
import socket, sys
l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind(("127.0.0.1", int(sys.argv[1])))
l.listen()
for name in ("up1", "up2"):
    c, _ = l.accept()
    with open(name, "wb") as f:
        while d := c.recv(1 << 16):
            f.write(d)
    c.sendall(b"thanks")
    c.close()
P
server=$!
until_true 5 listens "$up"
send='
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendfile(open("www/file", "rb"))
s.shutdown(socket.SHUT_WR)
assert s.recv(100) == b"thanks"'
run -- python3 -c "$send" "$up" || fail "clean, up: exit $?"
run --seed 7 --link "$bad" -- python3 -c "$send" "$up" || fail "bad, up: exit $?"
wait $server
same up1 www/file
same up2 www/file
