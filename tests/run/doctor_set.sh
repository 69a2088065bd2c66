# The doctor over its whole set: each verdict with a precision and a recall of 0.95, in the part that is held out as well.
# timeout: 180
. "$TESTS/lib.sh"
need python3
"$WEIR" doctor "$TESTS/../doctor/kernel/bulk-cubic-0-client.pcap" >out 2>err || {
    grep -q 'built without libpcap' err && {
        echo 'skip: weir was built without libpcap'
        exit 77
    }
    fail "$(cat err)"
}
python3 "$TESTS/../doctor/score.py" --check >score || fail "$(cat score)"
grep -E '^  all ' score
