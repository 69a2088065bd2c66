# timeout: 90
# weir against the kernel's own TCP, over a TUN or TAP device in a network namespace of its own.
. "$TESTS/lib.sh"
need python3 unshare ip ss ping tshark dumpcap
[ "$(id -u)" = 0 ] || {
    echo "skip: needs root"
    exit 77
}
if [ ! -c /dev/net/tun ] || ! unshare -n ip link >/dev/null 2>&1; then
    echo "skip: no /dev/net/tun, or no network namespaces"
    exit 77
fi
peer=$(dirname "$WEIR")/bench/tap-peer
[ -x "$peer" ] || {
    echo "skip: $peer is not built"
    exit 77
}
blob file 20000000
head -c 2000000 file >short
unshare -n python3 "$TESTS/interop.py" "$peer" file short tun tap
