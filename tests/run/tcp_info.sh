# Every member of TCP_INFO that is neither measured nor the machine's choice, at each step of a connection over loopback: weir counts as the kernel does.
. "$TESTS/lib.sh"
need python3
timeout 20 python3 "$TESTS/tcp_info.py" >kernel 2>&1 &
"$WEIR" run -q -- timeout 20 python3 "$TESTS/tcp_info.py" >weir 2>&1
wait
[ "$(wc -l <kernel)" -gt 400 ] || fail "without weir: $(cat kernel)"
diff kernel weir || fail "weir counts otherwise"
