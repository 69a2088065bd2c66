# timeout: 240
# weir rr -s --shards: a server of two stacks on the queues of one device, with the kernel's TCP as its client.
. "$TESTS/lib.sh"
need python3 unshare ip ping
[ "$(id -u)" = 0 ] || {
    echo "skip: needs root"
    exit 77
}
if [ ! -c /dev/net/tun ] || ! unshare -n ip link >/dev/null 2>&1; then
    echo "skip: no /dev/net/tun, or no network namespaces"
    exit 77
fi
unshare -n python3 "$TESTS/shards.py" "$WEIR"
