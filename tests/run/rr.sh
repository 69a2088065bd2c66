# timeout: 180
# weir rr: requests and connections between weir and the kernel, either way, and what each end says of a failure.
. "$TESTS/lib.sh"
need python3 unshare ip
[ "$(id -u)" = 0 ] || {
    echo "skip: needs root"
    exit 77
}
if [ ! -c /dev/net/tun ] || ! unshare -n ip link >/dev/null 2>&1; then
    echo "skip: no /dev/net/tun, or no network namespaces"
    exit 77
fi
unshare -n python3 "$TESTS/rr.py" "$WEIR"
