# git clone over http.
. "$TESTS/lib.sh"
need git python3 curl
mkdir www
git init -q made
for i in 1 2 3; do
    blob made/f$i 200000
    git -C made add f$i
    git -C made -c user.name=weir -c user.email=weir@localhost commit -qm "commit $i"
done
git clone -q --bare made www/r.git
git -C www/r.git update-server-info
serve www
run -- git clone -q "http://127.0.0.1:$port/r.git" got || fail "exit $?"
same got/f3 made/f3
equal commits "$(git -C got rev-list --count HEAD)" 3
