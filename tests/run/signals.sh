# Signals pass through; a dead supervisor leaves nothing behind.
. "$TESTS/lib.sh"
need python3 nc
"$WEIR" run -q -- sh -c 'trap "echo got it; exit 3" TERM; echo ready; while :; do sleep 0.05; done' >out &
p=$!
until_true 5 grep -q ready out
kill -TERM $p
wait $p
equal 'status after SIGTERM' $? 3
grep -q 'got it' out || fail "the program did not see SIGTERM"

# Ctrl-C at a terminal: both get it, both end.
cat >terminal.py <<'P'
import os, pty, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
time.sleep(1)
os.write(fd, b"\x03")
for _ in range(50):
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        print(os.WTERMSIG(status))
        sys.exit()
    time.sleep(0.1)
print("still there")
P
equal 'Ctrl-C, asleep' "$(python3 terminal.py "$WEIR" run -q -- sleep 100)" 2
equal 'Ctrl-C, in accept' "$(python3 terminal.py "$WEIR" run -q -- nc -l 127.0.0.1 4000)" 2

# The supervisor is killed: the program and what it started end too.
"$WEIR" run -q -- sh -c 'echo $$ >pids; sleep 300 & echo $! >>pids; nc -l 127.0.0.1 4000' 2>/dev/null &
p=$!
until_true 5 sh -c '[ "$(wc -l <pids)" = 2 ]'
sleep 0.3
kill -KILL $p
gone()
{
    local pid
    while read -r pid; do
        [ ! -e "/proc/$pid" ] || return 1
    done <pids
}
until_true 6 gone

# What the program leaves running goes on; the status is the program's.
run -- sh -c '(sleep 1; echo later >later) & exit 5'
equal 'status of the first' $? 5
[ -s later ] || fail "what the program left running was ended"

# A terminal that goes away tells the session's leader alone: we pass it on.
timeout 10 python3 - "$WEIR" <<'P' || fail "after a hangup: exit $?"
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "run", "-q", "--", "sh", "-c", "echo up; sleep 60"])
assert b"up" in os.read(fd, 100)
os.close(fd)
sys.exit(0 if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -1 else 1)
P
