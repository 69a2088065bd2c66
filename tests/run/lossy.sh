# timeout: 600
# 64 MiB, byte for byte: over a clean link and over a bad one, both families, up too. The bad ones run side by side: at such a
# loss TCP makes half a megabyte a second, whoever's it is.
. "$TESTS/lib.sh"
need curl python3
bad='loss=2% reorder=2% dup=1% corrupt=0.5% delay=10ms'
mkdir www
blob www/file $((64 << 20))
serve www ::
up=$(free_port)
python3 - "$up" <<'P' &
import os, socket, sys
l = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
for _ in range(4):
    c, _ = l.accept()
    if os.fork() == 0:
        name = c.recv(4).decode()
        with open(name, "wb") as f:
            while d := c.recv(1 << 16):
                f.write(d)
        c.sendall(b"thanks")
        os._exit(0)
    c.close()
for _ in range(4):
    os.wait()
P
server=$!
until_true 5 listens "$up" tcp6
send='
import socket, sys
s = socket.create_connection((sys.argv[3], int(sys.argv[1])))
s.sendall(sys.argv[2].encode())
s.sendfile(open("www/file", "rb"))
s.shutdown(socket.SHUT_WR)
assert s.recv(100) == b"thanks"'

run -- curl -sS -o clean4 "http://127.0.0.1:$port/file" || fail "clean, IPv4: exit $?"
run -- curl -sS -o clean6 "http://[::1]:$port/file" || fail "clean, IPv6: exit $?"
run -- python3 -c "$send" "$up" cln1 127.0.0.1 || fail "clean, IPv4, up: exit $?"
run -- python3 -c "$send" "$up" cln2 ::1 || fail "clean, IPv6, up: exit $?"

"$WEIR" run -q --seed 7 --link "$bad" -- curl -sS -o bad4 "http://127.0.0.1:$port/file" &
pids=($!)
"$WEIR" run -q --seed 8 --link "$bad" -- curl -sS -o bad6 "http://[::1]:$port/file" &
pids+=($!)
"$WEIR" run -q --seed 9 --link "$bad" -- python3 -c "$send" "$up" bad1 127.0.0.1 &
pids+=($!)
"$WEIR" run -q --seed 10 --link "$bad" -- python3 -c "$send" "$up" bad2 ::1 &
pids+=($!)
for pid in "${pids[@]}"; do
    wait "$pid" || fail "over the bad link: exit $?"
done
wait $server
for got in clean4 clean6 cln1 cln2 bad4 bad6 bad1 bad2; do
    same $got www/file
done
