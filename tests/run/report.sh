# weir report and weir run --report: pages of traces and captures, and what is said where there can be none.
. "$TESTS/lib.sh"

# refused STATUS WORDS ARGUMENT...: weir report ends with that status, says WORDS in one line, and writes nothing.
refused()
{
    local status=$1 words=$2
    shift 2
    rm -f none.html
    "$WEIR" report "$@" >out 2>err
    equal "weir report $*" $? "$status"
    grep -qF -- "$words" err || fail "weir report $*: $(cat err)"
    equal "lines of weir report $*" "$(wc -l <err)" 1
    [ ! -e none.html ] || fail "weir report $*: it wrote"
}

# shows PAGE WORDS...: it is a whole page, and its data say WORDS.
shows()
{
    local page=$1 words
    shift
    tail -c 20 "$page" | grep -q '</html>' || fail "$page is not whole"
    for words; do
        grep -qF -- "$words" "$page" || fail "$page does not say $words"
    done
}

"$WEIR" sim run --seed 7 --link 'rate=10mbit delay=20ms loss=2%' --bytes 100k --trace t.jsonl --pcap t.pcapng >out || fail "$(cat out)"
"$WEIR" report t.jsonl 2>err || fail "$(cat err)"
equal 'what it says' "$(cat err)" 't.html: 1 connection'
shows t.html '"title":"t.jsonl"' 'Closed cleanly, client first' '"bytes":102400,' 'lost by the impaired link'
"$WEIR" report t.pcapng -o c.html --title 'a <b>' 2>err || fail "$(cat err)"
shows c.html '"title":"a \u003cb\u003e"' 'Closed cleanly, the client first' '"bytes":102400,' '"one_sided":true'
"$WEIR" report - -o - <t.jsonl >piped.html 2>err || fail "$(cat err)"
shows piped.html 'Closed cleanly, client first'
"$WEIR" report t.jsonl -o few.html --events 100 2>err || fail "$(cat err)"
grep -q 'were left out; --events N keeps more' err || fail "$(cat err)"
shows few.html '"rows":100,' 'Closed cleanly, client first'
head -c 20000 t.pcapng >cut.pcapng
"$WEIR" report cut.pcapng 2>err || fail "$(cat err)"
grep -q 'is cut off at its end' err || fail "$(cat err)"

if tshark -r t.pcapng -F pcap -w t.pcap 2>/dev/null && "$WEIR" report t.pcap -o p.html 2>err; then
    shows p.html 'Closed cleanly, the client first' '"bytes":102400,'
else
    grep -q 'built without libpcap' err || fail "a pcap: $(cat err)"
fi

: >empty
head -c 1000 /dev/zero >zeros
printf '{"at_ns":1}\n' >other.json
refused 1 'empty: it is empty' empty -o none.html
refused 1 'zeros: it is neither a trace (weir run --trace) nor a capture' zeros -o none.html
refused 1 'other.json: line 1 is no event: it has no "event"' other.json -o none.html
refused 1 'nowhere: No such file' nowhere -o none.html
refused 1 '/: it is a directory' / -o none.html
refused 1 'nowhere/none.html: No such file' t.jsonl -o nowhere/none.html
refused 1 '/dev/full: No space left' t.jsonl -o /dev/full
refused 2 'which FILE?'
refused 2 'one FILE at a time' t.jsonl t.jsonl
refused 2 'there is no option --ouput' --ouput x t.jsonl
refused 2 'not a number from 1' --events 0 t.jsonl

# What cannot be written leaves what was there.
cp t.html before
(
    trap '' XFSZ
    ulimit -f 4
    exec "$WEIR" report t.jsonl
) 2>err
equal 'a page without room' $? 1
same t.html before
equal 'nothing is left beside it' "$(find . -name '*.new' | wc -l)" 0

"$WEIR" run -q --link 'delay=5ms' --report run.html -- python3 -c '
import socket
try:
    socket.create_connection(("127.0.0.1", 1))
except ConnectionRefusedError:
    pass' || fail 'weir run --report'
shows run.html 'Refused by gateway: nothing listens there' '"hosts":["program","gateway"]'
"$WEIR" run -q --report nowhere/x -- true 2>err
equal 'weir run, nowhere to write' $? 125
grep -q -- '--report nowhere/x: No such file' err || fail "$(cat err)"
