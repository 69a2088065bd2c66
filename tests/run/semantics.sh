# Corners of socket behaviour, compared with the kernel's own answers: semantics.py prints them, under weir and without.
. "$TESTS/lib.sh"
need python3
python3 "$TESTS/semantics.py" >kernel 2>&1 || fail "without weir: exit $?: $(cat kernel)"
run -- python3 "$TESTS/semantics.py" >weir 2>&1 || fail "under weir: exit $?: $(cat weir)"
diff kernel weir || fail "weir answers otherwise"
