# Exit statuses and errors, each one line.
. "$TESTS/lib.sh"
need python3
one_line()
{
    equal "lines of: $(cat err)" "$(wc -l <err)" 1
}
run -- true
equal true $? 0
run -- sh -c 'exit 7'
equal 'exit 7' $? 7
run -- sh -c 'kill -TERM $$'
equal SIGTERM $? 143
run -- sh -c 'kill -KILL $$'
equal SIGKILL $? 137
run -- no-such-program 2>err
equal 'no such program' $? 127
one_line
run -- "$TESTS/lib.sh" 2>err
equal 'not executable' $? 126
one_line
run --link 'delay=40mss' -- true 2>err
equal 'bad --link' $? 125
one_line
grep -q 40mss err || fail "the bad word isn't named: $(cat err)"
run --profile nonesuch -- true 2>err
equal 'bad --profile' $? 125
one_line
run --pcap /nonexistent/x.pcapng -- true 2>err
equal 'bad --pcap' $? 125
one_line
run --trace /nonexistent/x -- true 2>err
equal 'bad --trace' $? 125
one_line
run --lnik delay=1ms -- true 2>err
equal 'a mistyped option' $? 125
one_line
grep -q 'mean --link' err || fail "no suggestion: $(cat err)"
run -x -- true 2>err
equal 'an unknown letter' $? 125
one_line
run --quiet=3 -- true 2>err
equal 'a value too many' $? 125
one_line
run --link 2>err
equal 'a value too few' $? 125
one_line
run -p 34567:80 -p 34567:81 -- true 2>err
equal 'the same port twice' $? 125
one_line
run -p 80 -- true 2>err
equal 'bad -p' $? 125
one_line
p=$(free_port)
python3 -c "
import socket, time
s = socket.socket(); s.bind(('127.0.0.1', $p)); s.listen(); time.sleep(20)" &
server=$!
until_true 5 listens "$p"
run -p "127.0.0.1:$p:80" -- touch started 2>err
equal 'port in use' $? 125
one_line
[ ! -e started ] || fail "the program was started all the same"
kill $server
run -- "$WEIR" run -q -- true 2>err # the kernel allows one such supervisor: as on a kernel that allows none
equal 'no user notification' $? 125
one_line
"$WEIR" rnu 2>err
equal 'a mistyped command' $? 2
grep -q "'run'" err || fail "no suggestion: $(cat err)"
"$WEIR" run --help | grep -q -- --link || fail "weir run --help"

# A full disk: the program goes on, and what is missing is said.
run --pcap /dev/full --trace /dev/full -- python3 -c 'import socket; socket.socket().connect_ex(("127.0.0.1", 1))' 2>err
equal 'a full disk' $? 0
equal 'files with no space' "$(grep -c 'No space left' err)" 2
