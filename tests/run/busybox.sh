# A static binary: busybox's wget.
. "$TESTS/lib.sh"
need busybox python3
file -L "$(command -v busybox)" 2>/dev/null | grep -q 'dynamically' && {
    echo "skip: this busybox is not static"
    exit 77
}
mkdir www
blob www/file 3000000
serve www
run -- busybox wget -q -O got "http://127.0.0.1:$port/file" || fail "exit $?"
same got www/file
