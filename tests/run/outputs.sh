# Files and streams that can't be written, of weir drill, weir sim and weir rfc: it is said, the exit status tells, and
# nothing that was there is lost. (weir run's are in status.sh.)
. "$TESTS/lib.sh"

# refused STATUS WORDS COMMAND...: it ends with that status, and says WORDS.
refused()
{
    local status=$1 words=$2
    shift 2
    "$WEIR" "$@" >out 2>&1
    equal "weir $*" $? "$status"
    grep -q -- "$words" out || fail "weir $*: $(cat out)"
}

cp "$TESTS/../drill/any/open/passive.pkt" script.pkt
for option in --pcap --trace; do
    refused 1 "/dev/full: No space left" sim run --seed 3 $option /dev/full
    refused 1 "nowhere/x: No such file" sim run --seed 3 $option nowhere/x
    refused 2 "/dev/full can't be written: No space left" drill $option /dev/full script.pkt
    refused 2 "nowhere/x can't be written: No such file" drill $option nowhere/x script.pkt
done
refused 2 "/dev/full can't be written" drill --junit /dev/full script.pkt
refused 2 "/dev/full: No space left" sim shrink 1 --link 'delay=5ms loss=2%' --bytes 64k --fail-if 'retransmits>=1' -o /dev/full
refused 1 "nowhere/x: No such file" sim matrix --goodput nowhere/x
refused 2 "nowhere: No such file" sim matrix --compare nowhere

for command in --version rfc 'rfc 9293' 'sim --help' 'sim run --seed 3 --story' 'drill script.pkt'; do
    # shellcheck disable=SC2086 # words
    "$WEIR" $command >/dev/full 2>err
    equal "weir $command, nowhere to write" $? 2
    equal "weir $command says it" "$(wc -l <err)" 1
    grep -q 'standard output: ' err || fail "weir $command: $(cat err)"
done

# --update replaces a script when all of the new one is written, keeps its mode, and follows a link to it.
sed 's/^\(+0 > S\. 0:0(0) ack\) 1/\1 7/' script.pkt >wrong.pkt
cmp -s script.pkt wrong.pkt && fail 'script.pkt has no SYN-ACK'
chmod 640 wrong.pkt
ln -s wrong.pkt link.pkt
cp wrong.pkt before
(
    trap '' XFSZ
    ulimit -f 0
    "$WEIR" drill --update link.pkt | cat >out
    exit "${PIPESTATUS[0]}"
) 2>err
equal 'an update without room' $? 2
same wrong.pkt before
equal 'nothing is left beside it' "$(find . -name '*.new' | wc -l)" 0
"$WEIR" drill --update link.pkt >out || fail "$(cat out)"
[ -L link.pkt ] || fail 'the link is a file now'
equal 'its mode' "$(stat -c %a wrong.pkt)" 640
"$WEIR" drill script.pkt wrong.pkt >out || fail "$(cat out)"

# An interrupted matrix says how far it came; an interrupted table of goodput leaves the page as it was.
for jobs in 1 2; do
    timeout -s INT 2 "$WEIR" sim matrix --seeds 100000 -j $jobs >out
    grep -q ' passed, 0 failed in .*: interrupted$' out || fail "-j $jobs: $(cat out)"
done
echo kept >page
timeout -s INT 1 "$WEIR" sim matrix --goodput page 2>err
equal 'an interrupted page' "$(cat page)" kept
