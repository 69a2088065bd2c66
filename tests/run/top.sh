# weir top: rates, what limits, batches; on a terminal the keys, and the terminal as it was before however it ends.
. "$TESTS/lib.sh"
need python3

export XDG_RUNTIME_DIR=$PWD/runtime
mkdir -m 700 runtime

"$WEIR" top -b 2>err
equal 'no run' $? 1
grep -q 'no weir run' err || fail "said: $(cat err)"
"$WEIR" top -d 0 2>err
equal 'a bad delay' $? 2
"$WEIR" top -s nonesuch 2>err
equal 'a bad key' $? 2
"$WEIR" top nonesuch 2>err
equal 'a bad filter' $? 2

# A sender without end to a reader that is as fast as the link, and one whose peer does not read.
cat >talk.py <<'P'
import socket, threading, time
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
def talk(reads):
    a = socket.create_connection(listener.getsockname())
    b, _ = listener.accept()
    threading.Thread(target=lambda: [a.sendall(bytes(10000)) or time.sleep(0.001) for _ in iter(int, 1)], daemon=True).start()
    if reads:
        threading.Thread(target=lambda: [b.recv(1 << 20) for _ in iter(int, 1)], daemon=True).start()
    return a, b
kept = talk(True), talk(False)
print("ready", kept[0][0].getsockname()[1], kept[1][0].getsockname()[1], flush=True)
time.sleep(120)
P
"$WEIR" run -q -- python3 talk.py >out &
supervisor=$!
until_true 20 grep -q ready out
read -r _ fast slow <out

# One look tells of the connection's life; further ones of the time since.
"$WEIR" top -b >one.txt || fail 'weir top -b fails'
grep -q '^weir top .*: 1 run, 4 connections; out .*bps, in .*bps' one.txt || fail "$(cat one.txt)"
equal 'lines' "$(grep -c ESTAB one.txt)" 4
"$WEIR" top -b -n 3 -d 0.2 "$supervisor" "sport = :$fast" >three.txt || fail 'weir top -n 3 fails'
equal 'looks' "$(grep -c '^weir top' three.txt)" 3
equal 'of the filter' "$(grep -c ESTAB three.txt)" 3
grep -qE "ESTAB +127.0.0.1:$fast .* [0-9.]+[kMG] +- " three.txt || fail "no rate: $(cat three.txt)"
[ ! -t 1 ] && "$WEIR" top -n 1 | grep -q 'LIMITED BY' || fail 'without a terminal it does not print'

stalled()
{
    "$WEIR" top -b -n 2 -d 0.2 "sport = :$slow" | tail -n 1 | grep -q '[0-9]% zero window'
}
until_true 30 stalled
by_rate()
{
    "$WEIR" top -b -n 2 -d 0.2 -s out | tail -n 4 | head -n 1 | grep -q ":$fast "
}
until_true 30 by_rate

for how in q 2 15 1 stop; do
    python3 "$TESTS/top_screen.py" "$WEIR" $how || fail "on a terminal, ended by $how"
done
kill "$supervisor"
wait "$supervisor"
true
"$WEIR" top -b -d 2>err && fail "an option without its value was taken"
equal "no value" "$(cat err)" "weir top: a value is missing after -d. See weir top --help"
