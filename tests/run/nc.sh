# nc as client of the host, as server inside, and half-close.
. "$TESTS/lib.sh"
need nc python3
blob data 3000000
p=$(free_port)
nc -l 127.0.0.1 "$p" >got </dev/null &
until_true 5 listens "$p"
run -- nc -N 127.0.0.1 "$p" <data || fail "client: exit $?"
wait $!
same got data

run -- sh -c 'nc -l 127.0.0.1 4000 >got2 </dev/null & sleep 0.5; nc -N 127.0.0.1 4000 <data; wait' || fail "inside: exit $?"
same got2 data
