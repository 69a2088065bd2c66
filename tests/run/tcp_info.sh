# Every member of TCP_INFO that is neither measured nor the machine's choice, at each step of a connection over loopback: weir counts as the kernel does.
. "$TESTS/lib.sh"
need python3 ip
# The kernel's defaults, whatever this machine is set to: in a network namespace of its own, where one may be made.
defaults=()
if command -v unshare >/dev/null && unshare -rn true 2>/dev/null; then
    defaults=(unshare -rn sh -c 'ip link set lo up && exec "$@"' sh)
fi
"${defaults[@]}" timeout 20 python3 "$TESTS/tcp_info.py" >kernel 2>&1 &
"$WEIR" run -q -- timeout 20 python3 "$TESTS/tcp_info.py" >weir 2>&1
wait
[ "$(wc -l <kernel)" -gt 400 ] || fail "without weir: $(cat kernel)"
diff kernel weir || fail "weir counts otherwise"
