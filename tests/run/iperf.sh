# timeout: 240
# weir iperf against the real iperf3, in both roles, and against itself over the kernel.
. "$TESTS/lib.sh"
need python3 unshare ip iperf3
[ "$(id -u)" = 0 ] || {
    echo "skip: needs root"
    exit 77
}
if [ ! -c /dev/net/tun ] || ! unshare -n ip link >/dev/null 2>&1; then
    echo "skip: no /dev/net/tun, or no network namespaces"
    exit 77
fi
unshare -n python3 "$TESTS/iperf.py" "$WEIR"
