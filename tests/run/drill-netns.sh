# libweir-packetdrill.so in a network namespace with a device tun0: what commands did there reaches the stack.
. "$TESTS/lib.sh"
need unshare ip tc sysctl
if [ "$(id -u)" != 0 ] || [ ! -c /dev/net/tun ] || ! unshare -n ip link >/dev/null 2>&1; then
    echo "skip: needs root, /dev/net/tun and network namespaces"
    exit 77
fi
LIBRARY=$(dirname "$WEIR")/libweir-packetdrill.so
export LIBRARY
cat >opening.pkt <<'PKT'
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32792 <mss 1460,sackOK,nop,nop,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <mss 1200,nop,wscale 8>
+.1 < . 1:1(0) ack 1 win 257
+0 accept(3, ..., ...) = 4
+0 %{ assert tcpi_snd_cwnd == 3 and tcpi_pmtu == 1400, tcpi_pmtu }%
PKT
# shellcheck disable=SC2016 # the inner shell is to expand them
unshare -n bash -euc '
    ip tuntap add mode tun tun0
    ip addr add 192.168.0.1/24 dev tun0
    ip link set tun0 up
    ip route add 192.0.2.0/24 dev tun0 advmss 1200 mtu 1400 initcwnd 3
    sysctl -qw net.ipv4.tcp_rmem="4096 540000 15728640" net.ipv4.tcp_sack=0
    "$WEIR" drill --so "$LIBRARY" opening.pkt
    tc qdisc replace dev tun0 root pfifo limit 0
    if "$WEIR" drill --so "$LIBRARY" opening.pkt >lost; then
        echo "a queue of length 0 lost nothing"
        exit 1
    fi
    grep "nothing was sent" lost'
