# Captures open in tshark with nothing malformed; the trace is JSON; the story and the line at the end are there.
. "$TESTS/lib.sh"
need tshark curl python3
mkdir www
blob www/file 500000
serve www ::
for host in 127.0.0.1 '[::1]'; do
    "$WEIR" run --seed 5 --link 'delay=5ms loss=1%' --pcap c.pcapng --trace t.json --story -- \
        curl -sS -o got "http://$host:$port/file" 2>err || fail "exit $?: $(cat err)"
    same got www/file
    grep -qE "^weir: tcp .*:$port: .* out, 48[0-9.]* KiB in, .* closed" err || fail "no line at the end: $(cat err)"
    bad=$(tshark -r c.pcapng -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE \
        -Y '_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0' 2>/dev/null | wc -l)
    equal "malformed or badly summed packets" "$bad" 0
    for what in 'tcp.flags.syn == 1' 'tcp.flags.fin == 1' 'frame.comment'; do
        [ "$(tshark -r c.pcapng -Y "$what" 2>/dev/null | wc -l)" -gt 0 ] || fail "no $what in the capture"
    done
    python3 -c "
import json
for line in open('t.json'): json.loads(line)" || fail "the trace is not JSON lines"
done

# A full disk: the program goes on, the loss is said.
"$WEIR" run --pcap /dev/full -- curl -sS -o got "http://127.0.0.1:$port/file" 2>err || fail "full disk: exit $?"
same got www/file
grep -q 'packets are missing' err || fail "the loss is not said: $(cat err)"
