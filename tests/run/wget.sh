# wget.
. "$TESTS/lib.sh"
need wget python3
mkdir www
blob www/file 3000000
serve www
run -- wget -q -O got "http://127.0.0.1:$port/file" || fail "exit $?"
same got www/file
