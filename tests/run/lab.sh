# The lab: every scenario holds, and what a person may get wrong is said in a line.
# timeout: 180
. "$TESTS/lib.sh"
# Those with real programs have lab_real.sh. Without the programs they are skipped, with a word.
PATH=/nonexistent "$WEIR" lab all >out || fail "$(grep -A1 FAILED out)"
grep -q "^skipped: real-curl: host server: there is no program 'python3'" out || fail "$(grep skipped out)"
grep -qE '^[1-9][0-9]* passed, 0 failed$' out || fail "$(tail -n 1 out)"
"$WEIR" lab handshake --rtt 100ms >out || fail "another round trip"
grep -q 'after 100 ms, one round trip' out || fail "the option does not count: $(cat out)"
grep -q 'SYN, ACK 1 --' <(LC_ALL=C "$WEIR" lab handshake) || fail "no acknowledgement number in the diagram"
LC_ALL=C "$WEIR" lab syn-proxy >out
grep -qE '^ +ms +client +proxy +server' out || fail "no column for each host on the way: $(cat out)"
grep -qE '\| +\|-- SYN -+>\|$' out || fail "no arrow from the second host to the third"
LC_ALL=C "$WEIR" lab one-to-many >out
grep -qE '\|-- UDP, 500 bytes -+>\|' out || fail "no arrow for a datagram: $(cat out)"
"$WEIR" lab handshake --pcap h.pcapng --trace h.jsonl >/dev/null
equal 'segments in the capture' "$(tshark -r h.pcapng -Y 'tcp.flags.syn == 1' 2>/dev/null | wc -l)" 4
grep -q '"event":"state"' h.jsonl || fail "no states in the trace: $(head -n 3 h.jsonl)"
"$WEIR" lab handshake --html h.html >/dev/null || fail "--html"
grep -q 'The three-way handshake' h.html || fail "the page lacks its title"
"$WEIR" lab handshake --html /nonexistent/x 2>err
equal 'a page that cannot be made' $? 2
"$WEIR" lab handshake --svg h.svg --page h.md >/dev/null || fail "--svg and --page"
grep -q 'SYN, ACK, seq 0, ack 1' h.svg || fail "the picture lacks the handshake"
grep -q '!\[The three-way handshake\](h.svg)' h.md || fail "the page lacks its picture"
"$WEIR" lab handshake --svg /nonexistent/x >/dev/null 2>err
equal 'a picture that cannot be made' $? 2
"$WEIR" lab show handshake >mine.yaml
sed 's/^next: .*/next: [nonesuch]/' mine.yaml >next.yaml
"$WEIR" lab next.yaml --page next.md >/dev/null 2>err
equal 'a page that leads nowhere' $? 2
"$WEIR" lab mine.yaml >/dev/null || fail "a scenario shown can't be played"
sed 's/== 3/== 4/' mine.yaml >wrong.yaml
"$WEIR" lab wrong.yaml >out
equal 'a claim that fails' $? 1
grep -q '^FAILED three segments' out || fail "it is not named"
"$WEIR" lab handshak 2>err
equal 'no such scenario' $? 2
grep -q "'handshake'" err || fail "no suggestion: $(cat err)"
"$WEIR" lab handshake --rtd 1 2>err
equal 'no such option' $? 2
"$WEIR" lab nonesuch.yaml 2>err
equal 'no such file' $? 2
"$WEIR" lab handshake --pcap /nonexistent/x 2>err
equal 'a capture that cannot be made' $? 2
"$WEIR" lab handshake --trace /dev/full >/dev/null 2>err
equal 'a full disk' $? 2
grep -q 'lines are missing' err || fail "$(cat err)"
