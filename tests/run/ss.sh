# weir ss: the sockets of a run, in ss's words; the control socket, and what strangers may not do with it.
. "$TESTS/lib.sh"
need python3

export XDG_RUNTIME_DIR=$PWD/runtime
mkdir -m 700 runtime
mkfifo go

start()
{
    rm -f out
    # A shell has what it starts in the background ignore SIGINT.
    env --default-signal=INT "$WEIR" run -q "$@" -- python3 "$TESTS/ss_sockets.py" <go >out 2>err &
    supervisor=$!
    exec 3>go
    until_true 20 grep -q ready out
    port=$(sed -n 's/^ready //p' out)
}

finish()
{
    echo >&3
    exec 3>&-
    wait "$supervisor" || fail "the program failed: $(cat err)"
}

in_state()
{
    [ "$("$WEIR" ss -Htan state "$1" | wc -l)" = "$2" ]
}

# has STATE LINES: so many are in that state, or will be.
has()
{
    until_true 20 in_state "$1" "$2"
}

"$WEIR" ss 2>err
equal 'no run' $? 1
grep -q 'no weir run' err || fail "said: $(cat err)"

start --link 'delay=1ms'
has time-wait 1
has listening 2
has established 4
has fin-wait-2 1
has close-wait 1
has connected 7
equal 'a listener'"'"'s queues' "$("$WEIR" ss -Hltn "sport = :$port" | awk '{print $1, $2, $3, $4, $5}')" "LISTEN 1 5 127.0.0.1:$port 0.0.0.0:*"
equal 'UDP' "$("$WEIR" ss -Huan | wc -l)" 1
equal 'a listener of both families' "$("$WEIR" ss -Hltn6 | awk '{print $5}')" '*:*'
equal 'by port' "$("$WEIR" ss -Htn "( sport = :$port or dport = :$port )" | wc -l)" 6
equal 'not by port' "$("$WEIR" ss -Htn "not ( sport = :$port or dport = :$port )" | wc -l)" 0
equal 'by pid' "$("$WEIR" ss -Hltn "$supervisor" | wc -l)" 2
"$WEIR" ss -Hlptn "sport = :$port" | grep -q 'users:(("python3",pid=[0-9]*,fd=3))' || fail 'the process is not told'
until_true 20 sh -c "\"$WEIR\" ss -Hton | grep -q 'timer:(persist,'"
"$WEIR" ss -tin | grep -q ' cubic wscale:' || fail "no -i: $("$WEIR" ss -tin)"
"$WEIR" ss -tL | grep -q 'ledger:(' || fail 'no ledger'
"$WEIR" ss -s | grep -q '^TCP:   [0-9]* (estab 4, closed [0-9]*, orphaned [0-9]*, timewait 1)' || fail "$("$WEIR" ss -s)"
[ "$("$WEIR" ss -gHltn | wc -l)" -ge 1 ] || fail 'no socket of the gateway'
"$WEIR" ss -ta bogus 2>err
equal 'a bad filter' $? 2
"$WEIR" ss -t state nonesuch 2>err
equal 'a bad state' $? 2
"$WEIR" ss 1 2>err
equal 'no such run' $? 1

# Nobody else may look, and strangers are no trouble.
equal 'mode of the directory' "$(stat -c %a runtime/weir)" 700
[ -S "runtime/weir/$supervisor.sock" ] || fail 'there is no socket'
python3 "$TESTS/ss_hostile.py" "runtime/weir/$supervisor.sock" || fail 'the control socket gave in'
has listening 2
finish
[ ! -e "runtime/weir/$supervisor.sock" ] || fail 'the socket stays when the run has ended'

# The shape of a line is ss's, on a kernel's connection like it.
if command -v ss >/dev/null; then
    start
    "$WEIR" ss -tinoemO "dport = :$port" >weir.txt
    finish
    python3 "$TESTS/ss_sockets.py" <go >out &
    supervisor=$!
    exec 3>go
    until_true 20 grep -q ready out
    ss -tinoemO "dport = :$(sed -n 's/^ready //p' out)" >linux.txt
    finish
    python3 "$TESTS/ss_shape.py" weir.txt linux.txt || fail 'the lines differ from ss'
fi

# Ends by a signal, a stale socket, other places.
start
kill -INT "$supervisor"
wait "$supervisor"
exec 3>&-
[ ! -e "runtime/weir/$supervisor.sock" ] || fail 'the socket stays after SIGINT'
start
kill -KILL "$supervisor"
wait "$supervisor" 2>/dev/null
exec 3>&-
[ -e "runtime/weir/$supervisor.sock" ] || fail 'who removed it?'
"$WEIR" ss 2>/dev/null
[ ! -e "runtime/weir/$supervisor.sock" ] || fail 'a stale socket stays'
start --control "$PWD/mine.sock"
equal 'by path' "$("$WEIR" ss -Hltn "$PWD/mine.sock" | wc -l)" 2
equal 'its mode' "$(stat -c %a mine.sock)" 600
finish
[ ! -e mine.sock ] || fail 'a named socket stays'
start --control off
"$WEIR" ss 2>/dev/null
equal 'off' $? 1
finish
run --control "$PWD/no/such/place" -- true 2>err
equal 'a bad place' $? 125
touch precious
run --control "$PWD/precious" -- true 2>err
equal 'something lies there' $? 125
[ -f precious ] || fail 'a file was removed'

# A directory that others can write is not used, and the program runs all the same.
chmod 777 runtime/weir
"$WEIR" run -- true 2>err
equal 'without a place' $? 0
grep -q 'will not see this run' err || fail "said: $(cat err)"
"$WEIR" ss 2>err
equal 'and is not looked at' $? 1
grep -q 'not a directory of yours alone' err || fail "said: $(cat err)"
"$WEIR" ss -tz 2>err && fail "an option that there is not was taken"
equal "no such option" "$(cat err)" "weir ss: there is no option -z. See weir ss --help"
