# timeout: 90
# As interop.sh, over DPDK without huge pages: its virtual devices.
. "$TESTS/lib.sh"
need python3 unshare ip ss ping tshark dumpcap
[ "$(id -u)" = 0 ] || {
    echo "skip: needs root"
    exit 77
}
unshare -n ip link add weir0 type veth peer name vw0 2>/dev/null || {
    echo "skip: no veth, or no network namespaces"
    exit 77
}
peer=$(dirname "$WEIR")/bench/tap-peer
[ -x "$peer" ] || {
    echo "skip: $peer is not built"
    exit 77
}
echo x >x
why=$(unshare -n "$peer" -f x -d dpdk:none 2>&1 </dev/null)
case $why in
*"not in this build"*)
    echo "skip: ${why##*: dpdk: }"
    exit 77
    ;;
esac
blob file 20000000
head -c 2000000 file >short
unshare -n python3 "$TESTS/interop.py" "$peer" file short dpdk
