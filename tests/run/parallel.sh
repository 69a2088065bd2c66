# Eight connections at once.
. "$TESTS/lib.sh"
need curl python3
mkdir www
blob www/file 4000000
serve www
args=()
for i in 1 2 3 4 5 6 7 8; do
    args+=(-o "got$i" "http://127.0.0.1:$port/file")
done
run -- curl -sS --parallel --parallel-immediate --parallel-max 8 "${args[@]}" || fail "exit $?"
for i in 1 2 3 4 5 6 7 8; do
    same "got$i" www/file
done
