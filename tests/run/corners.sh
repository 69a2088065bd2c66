# Corners of the socket calls over both families, compared with the kernel's own answers.
. "$TESTS/lib.sh"
need python3
for v in 4 6; do
    timeout 50 python3 "$TESTS/corners.py" $v >kernel$v 2>&1 &
    "$WEIR" run -q -- timeout 50 python3 "$TESTS/corners.py" $v >weir$v 2>&1 &
done
wait
for v in 4 6; do
    [ "$(wc -l <kernel$v)" -gt 80 ] || fail "without weir, IPv$v: $(cat kernel$v)"
    diff kernel$v weir$v || fail "weir answers otherwise over IPv$v"
done
