# Signals in the middle of every call, a slow reader, and a crowd of connections.
. "$TESTS/lib.sh"
need python3
mkdir www
echo hello >www/hello
serve www
equal storm "$(run --link delay=30ms -- python3 "$TESTS/storm.py" "$port")" "10 True True"
equal backpressure "$(run --link 'delay=10ms rate=200mbit' -- python3 "$TESTS/backpressure.py")" True
equal crowd "$(run -- python3 "$TESTS/crowd.py" 400)" True
