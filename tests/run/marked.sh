# timeout: 60
# A link that marks in place of dropping, with ECN and with AccECN: every byte arrives, nothing is sent again. Tunables by
# --sysctl, and what is wrong with one.
. "$TESTS/lib.sh"
need curl python3
mkdir www
blob www/file 3000000
serve www
for mode in 1 3; do
    "$WEIR" run --sysctl "tcp_ecn=$mode" --trace "trace$mode" --link 'rate=20mbit delay=5ms queue=500k ecn=20k' -- \
        curl -sS -o "got$mode" "http://127.0.0.1:$port/file" 2>err || fail "tcp_ecn=$mode: exit $?"
    same www/file "got$mode"
    grep -q 'retransmitted 0 out, 0 in' err || fail "tcp_ecn=$mode: $(cat err)"
    grep -q '"ce":true' "trace$mode" || fail "tcp_ecn=$mode: nothing was marked"
    grep -q '"event":"rexmit"' "trace$mode" && fail "tcp_ecn=$mode: something was sent again"
done
run --sysctl tcp_ecn=9 -- true 2>err && fail "a value out of range was taken"
equal "a value out of range" "$(cat err)" "weir run: --sysctl tcp_ecn=9: not a value that it takes"
run --sysctl tcp_nonsense=1 -- true 2>err && fail "a tunable that there is not was taken"
equal "no such tunable" "$(cat err)" "weir run: --sysctl tcp_nonsense=1: there is no such tunable"
run --sysctl tcp_ecn -- true 2>err && fail "a tunable without a value was taken"
equal "no value" "$(cat err)" "weir run: --sysctl tcp_ecn: the form is NAME=VALUE, such as tcp_ecn=1"
