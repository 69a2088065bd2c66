# redis-server, redis-cli and redis-benchmark inside one run; and the server behind -p.
. "$TESTS/lib.sh"
need redis-server redis-cli redis-benchmark python3
got=$(run -- sh -c '
    redis-server --port 4079 --save "" --appendonly no >redis.log & s=$!
    for i in 1 2 3 4 5 6 7 8 9; do redis-cli -p 4079 ping >/dev/null 2>&1 && break; sleep 0.3; done
    redis-cli -p 4079 set key value; redis-cli -p 4079 get key
    redis-benchmark -p 4079 -n 5000 -c 50 -t set,get --csv >bench.csv
    kill $s; wait $s')
equal answers "$got" "OK
value"
grep -q '"GET"' bench.csv || fail "the benchmark did not finish: $(cat bench.csv)"

p=$(free_port)
"$WEIR" run -q -p "$p:4080" -- redis-server --port 4080 --save "" --appendonly no >redis.log &
server=$!
until_true 10 redis-cli -p "$p" ping
equal "behind -p" "$(redis-cli -p "$p" incr n)" 1
kill $server
wait $server
