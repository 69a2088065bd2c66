# weir doctor: what it says of captures, for people and for scripts, and of what can't be read.
. "$TESTS/lib.sh"

# refused STATUS WORDS ARGUMENT...: weir doctor ends with that status and says WORDS in one line.
refused()
{
    local status=$1 words=$2
    shift 2
    "$WEIR" doctor "$@" >out 2>err
    equal "weir doctor $*" $? "$status"
    grep -qF -- "$words" err || fail "weir doctor $*: $(cat err)"
    equal "lines of weir doctor $*" "$(wc -l <err)" 1
}

# says FILE VERDICT...: it is one connection with these verdicts.
says()
{
    local file=$1 verdict
    shift
    "$WEIR" doctor --json "$file" >json 2>err || fail "$file: $(cat err)"
    equal "connections of $file" "$(grep -c '"type":"connection"' json)" 1
    equal "captures of $file" "$(tail -n 1 json | cut -c 1-17)" '{"type":"capture"'
    for verdict; do
        grep -qF "\"id\":\"$verdict\"" json || fail "$file: no $verdict: $(cat json)"
    done
}

lab()
{
    "$WEIR" lab "$1" --pcap "$1.pcapng" >out || fail "$(tail -n 3 out)"
}

for scenario in refused tail-loss nagle-delayed-ack zero-window reset-half-open; do
    lab "$scenario"
done
says refused.pcapng refused
says tail-loss.pcapng tail-loss path-loss closed
says zero-window.pcapng zero-window limit-receiver
says reset-half-open.pcapng reset-half-open
"$WEIR" doctor --json nagle-delayed-ack.pcapng | grep -c '"id":"nagle-delayed-ack"' >count
equal 'connections with TCP_NODELAY have none' "$(cat count)" 1
python3 -c 'import json, sys; [json.loads(l) for l in sys.stdin]' <json || fail 'it is no JSON'

# For people: a summary, then those with trouble; the packets can be found.
"$WEIR" doctor tail-loss.pcapng >out || fail 'weir doctor'
grep -q 'packets in .* s, 1 connection$' out || fail "$(cat out)"
grep -q '^       1  tail-loss$' out || fail "$(cat out)"
grep -q '^  tail-loss  certain, path$' out || fail "$(cat out)"
grep -q '^    see   17$' out || fail "$(cat out)"
"$WEIR" doctor handshake.pcapng 2>/dev/null && fail 'there is no such file'
lab handshake
"$WEIR" doctor handshake.pcapng | grep -q 'closed by both' && fail 'a healthy connection is told of without --all'
"$WEIR" doctor --all handshake.pcapng | grep -q 'closed by both' || fail 'a healthy connection is not told of with --all'
"$WEIR" doctor -a --only refused handshake.pcapng | grep -q 'closed by both' && fail '--only'
"$WEIR" doctor -a --host 10.0.1.2:80 handshake.pcapng | grep -q 'closed by both' || fail '--host'
"$WEIR" doctor -a --host 10.0.1.2:81 handshake.pcapng | grep -q 'closed by both' && fail '--host of another port'

# A pipe, several files, a file that is cut off.
"$WEIR" doctor --json - <tail-loss.pcapng | grep -q '"file":"standard input"' || fail 'standard input'
tail -c +1 tail-loss.pcapng | "$WEIR" doctor --json - | grep -q tail-loss || fail 'a pipe'
equal 'two files' "$("$WEIR" doctor --json refused.pcapng tail-loss.pcapng | grep -c '"type":"capture"')" 2
head -c 3000 tail-loss.pcapng >cut.pcapng
"$WEIR" doctor cut.pcapng >out 2>err || fail 'a file that is cut off'
grep -q 'is cut off at its end' err || fail "$(cat err)"
if tshark -r tail-loss.pcapng -F pcap -w t.pcap 2>/dev/null && "$WEIR" doctor t.pcap >out 2>err; then
    tail -c +1 t.pcap | "$WEIR" doctor --json - >piped || fail 'a pcap in a pipe'
    "$WEIR" doctor --json t.pcap >json
    equal 'a pcap' "$(head -n 1 piped | cut -d, -f 3-)" "$(head -n 1 json | cut -d, -f 3-)"
else
    grep -q 'built without libpcap' err || echo 'a pcap was not tried'
fi

# Live.
"$WEIR" lab tail-loss --doctor >out || fail "$(tail -n 3 out)"
grep -q '^  tail-loss  certain, path$' out || fail "weir lab --doctor: $(tail -n 20 out)"
"$WEIR" run -q --doctor --link 'delay=5ms' -- python3 -c '
import socket
try:
    socket.create_connection(("127.0.0.1", 1))
except ConnectionRefusedError:
    pass' 2>err || fail 'weir run --doctor'
grep -q '^  refused  certain, server$' err || fail "weir run --doctor: $(cat err)"

: >empty
head -c 1000 /dev/zero >zeros
refused 1 'empty: it is empty' empty
refused 1 'zeros: it is no capture in pcap or pcapng form' zeros
refused 1 'nowhere: No such file' nowhere
refused 1 '/: it is a directory' /
refused 2 'which FILE?'
refused 2 'there is no option --jsn. Did you mean --json?' --jsn empty
refused 2 '--only los: there is no such verdict. There are: refused' --only los empty
refused 2 '--limit 0: not a number from 1' --limit 0 empty
refused 2 '--host x: the form is ADDRESS or ADDRESS:PORT' --host x empty
