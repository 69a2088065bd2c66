# weir run --live: who may look, what is told, bounds, the end.
. "$TESTS/lib.sh"
need python3

mkfifo go
start()
{
    rm -f err
    "$WEIR" run -q "$@" -- python3 -u -c '
import socket, sys
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
for line in sys.stdin:
    a = socket.create_connection(listener.getsockname())
    b, _ = listener.accept()
    a.sendall(bytes(1000))
    b.recv(1000)
    a.close(), b.close()
    print("done")' <go >out 2>err &
    supervisor=$!
    exec 3>go
    until_true 20 grep -q http:// err
    url=$(sed -nE 's|.* (http://127\.0\.0\.1:[0-9]+/[0-9a-f]{32}/) .*|\1|p' err)
    [ -n "$url" ] || fail "no address: $(cat err)"
}

start --live
first=$url
python3 "$TESTS/live.py" "$url" "$supervisor" 3>&- >client.txt 2>&1 &
client=$!
until_true 30 grep -q 'first event' client.txt || fail "$(cat client.txt)"
echo >&3
until_true 30 grep -q 'ready for the end' client.txt || fail "$(cat client.txt)"
exec 3>&-
wait $supervisor || fail 'the program failed'
wait $client || fail "$(cat client.txt)"

# Another run has another address; a port may be named; nobody who looks keeps it from ending.
p=$(free_port)
start --live="$p"
[[ $url == "http://127.0.0.1:$p/"* ]] || fail "not at the port: $url"
[ "${url##*:*/}" = "" ] && [ "${url#*//*/}" != "${first#*//*/}" ] || fail 'the same secret again'
listens "$p" || fail 'nobody listens'
run --live="$p" -- true 2>err2
equal 'a port in use' $? 125
grep -q "port $p" err2 || fail "said: $(cat err2)"
python3 - "$p" 3>&- <<'P' &
import socket, sys, time
kept = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(20)]
time.sleep(20)
P
exec 3>&-
wait $supervisor || fail 'it does not end'
run --live=0 -- true 2>err
equal 'no port' $? 125
run --live=x -- true 2>err
equal 'not a port' $? 125
