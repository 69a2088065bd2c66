# Scenarios with real programs: both real, mixed with steps, and every way in which one can go wrong.
# timeout: 120
. "$TESTS/lib.sh"
need python3 curl nc redis-server redis-benchmark
for name in real-curl real-redis real-and-lab; do
    "$WEIR" lab $name >out 2>err || fail "$name: $(grep -A1 FAILED out; cat err)"
done
grep -q '^curl | status 200, 51200 bytes' out || fail "what the program said is missing: $(cat out)"
grep -q '^nc | does anybody hear me' out || fail "nor did the echo come: $(cat out)"

scenario()
{
    cat >mine.yaml <<EOF
title: mine
chapter: mine
about: mine
hosts: [{name: client}, {name: server}]
links: [{from: client, to: server, link: "delay=1ms"}]
programs:
$1
until: ${2:-20s}
claims:
  - {say: all is well, check: "first(value, call and program == 'client' and text == 'exit') == 0"}
EOF
}
scenario '  - {host: client, command: [nonesuch-program]}'
"$WEIR" lab mine.yaml >out 2>err
equal 'a command that is not installed' $? 2
grep -q "host client: there is no program 'nonesuch-program'" err || fail "it is not named: $(cat err)"

scenario '  - {host: server, command: [python3, -c, "raise SystemExit(7)"]}
  - {host: client, after: server 80, command: [curl, -s, "http://${server}/"]}'
"$WEIR" lab mine.yaml >out 2>err
equal 'a server that ends at once' $? 2
grep -q "host server: .*ended before it listened on port 80, for which 'client' waits" err || fail "$(cat err)"

scenario '  - {host: server, command: [python3, -c, "raise SystemExit(7)"]}
  - {host: client, after: server 80, steps: [connect server 80]}'
"$WEIR" lab mine.yaml >out 2>err
equal 'the same for a program of steps' $? 2
grep -q "for which 'client' waits" err || fail "$(cat err)"

scenario '  - {host: client, command: [python3, -c, "raise SystemExit(7)"]}'
"$WEIR" lab mine.yaml >out 2>err
equal 'a status that the claim does not want' $? 1

scenario '  - {host: client, command: [sh, -c, "kill -9 $$"]}'
sed -i 's/== 0/== 137/' mine.yaml
"$WEIR" lab mine.yaml >out 2>err || fail "a signal is 128 and its number: $(cat out err)"

# 127.0.0.1 is the host's own, and the other host is not on it.
scenario '  - {host: server, serves: "true", command: [python3, -m, http.server, "80"]}
  - {host: client, after: server 80, command: [curl, -s, "http://127.0.0.1/"]}'
sed -i 's/== 0/== 7/' mine.yaml
"$WEIR" lab mine.yaml >out 2>err || fail "curl should have been refused: $(cat out err)"

scenario '  - {host: client, command: [sleep, "600"]}' 500ms
"$WEIR" lab mine.yaml >out 2>err
equal 'a program that does not end' $? 2
grep -q 'not over after .*client (sleep) has not ended' err || fail "$(cat err)"

# Ctrl-C, as one process gets it: nothing is left.
scenario '  - {host: server, serves: "true", command: [sh, -c, "echo $$ >pid; sleep 600 & echo $! >child; wait"]}
  - {host: client, command: [sleep, "600"]}' 100s
"$WEIR" lab mine.yaml >out 2>err &
lab=$!
until_true 10 test -s child
kill -INT $lab
wait $lab
equal 'the interrupted run' $? 2
grep -q interrupted err || fail "$(cat err)"
for file in pid child; do
    ! kill -0 "$(cat $file)" 2>/dev/null || fail "$file is still there"
done

# The client of the lab understands what a real server may send: pieces (chunked), interim answers, no length at all.
cat >server.py <<'EOF'
import socket

answers = [
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nT: x\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n",
    b"HTTP/1.1 200 OK\r\n\r\nup to the end",
]
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", 80))
s.listen()
c, _ = s.accept()
for answer in answers:
    assert c.recv(1000).startswith(b"GET /")
    for i in range(0, len(answer), 7):
        c.sendall(answer[i : i + 7])
c.close()
EOF
scenario '  - {host: server, serves: "true", command: [python3, server.py]}
  - {host: client, after: server 80, steps: [connect server 80, http get /a, http get /b, http get /c]}'
sed -i '/say: all is well/d' mine.yaml
cat >>mine.yaml <<'EOF'
  - {say: chunked, check: "nth(1, value, call and text == 'http') == 200 and nth(1, len, call and text == 'http') == 21"}
  - {say: by its length, check: "nth(2, value, call and text == 'http') == 404 and nth(2, len, call and text == 'http') == 3"}
  - {say: to the end, check: "nth(3, value, call and text == 'http') == 200 and nth(3, len, call and text == 'http') == 13"}
EOF
"$WEIR" lab mine.yaml >out 2>err || fail "answers of a real server: $(grep -A1 FAILED out; cat err)"
