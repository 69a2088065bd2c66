# timeout: 100
# Every socket option in every state, by value and by length: weir answers as the kernel, or refuses the option.
. "$TESTS/lib.sh"
need python3
for v in 4 6; do
    for kind in stream dgram; do
        timeout 90 python3 "$TESTS/options.py" $v $kind >kernel.$v.$kind 2>&1 &
        timeout 90 "$WEIR" run -q -- python3 "$TESTS/options.py" $v $kind >weir.$v.$kind 2>&1 &
    done
done
wait
for v in 4 6; do
    for kind in stream dgram; do
        python3 "$TESTS/options.py" compare kernel.$v.$kind weir.$v.$kind || fail "weir answers otherwise, IPv$v $kind"
    done
done
