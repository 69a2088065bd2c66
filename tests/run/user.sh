# An ordinary user, with no capability.
. "$TESTS/lib.sh"
need curl python3 setpriv
[ "$(id -u)" = 0 ] || {
    echo "skip: it is one already: the other tests show it"
    exit 77
}
mkdir www
blob www/file 2000000
serve www
cp "$WEIR" ./weir
chmod 777 .
setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs \
    ./weir run -q -- curl -sS -o got "http://127.0.0.1:$port/file" || fail "exit $?"
same got www/file
