# Level, edge, one-shot, exclusive and nested epoll, ends and refusals: as the kernel has them.
. "$TESTS/lib.sh"
need python3
timeout 50 python3 "$TESTS/epoll.py" >kernel 2>&1 &
"$WEIR" run -q -- timeout 50 python3 "$TESTS/epoll.py" >weir 2>&1
wait
[ "$(wc -l <kernel)" -gt 40 ] || fail "without weir: $(cat kernel)"
diff kernel weir || fail "weir answers otherwise"
