# socat: TCP and UDP, IPv4 and IPv6, inside one run.
. "$TESTS/lib.sh"
need socat
blob data 3000000
for family in 4 6; do
    to=127.0.0.1
    [ $family = 4 ] || to='[::1]'
    rm -f got
    run -- sh -c "socat -u TCP$family-LISTEN:4000,reuseaddr CREATE:got & sleep 0.5; socat -u OPEN:data TCP$family:$to:4000; wait" ||
        fail "tcp$family: exit $?"
    same got data
    got=$(run -- sh -c "socat -T 1 UDP$family-LISTEN:4001 EXEC:cat & sleep 0.5; echo ping | socat -t 0.5 - UDP$family:$to:4001; wait")
    equal "udp$family" "$got" ping
done
