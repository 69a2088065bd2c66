# ssh to a local sshd, and an sshd under weir.
. "$TESTS/lib.sh"
need ssh sshd ssh-keygen python3
[ "$(id -u)" = 0 ] || {
    echo "skip: sshd wants root"
    exit 77
}
mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f host
ssh-keygen -q -t ed25519 -N '' -f id
cp id.pub authorized
blob data 2000000
p=$(free_port)
sshd=$(command -v sshd)
options=(-D -f /dev/null -h "$PWD/host" -o "AuthorizedKeysFile=$PWD/authorized" -o StrictModes=no -o PidFile=none
    -o ListenAddress=127.0.0.1 -o UsePAM=no)
client=(ssh -i id -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes)

"$sshd" "${options[@]}" -p "$p" 2>sshd.log &
server=$!
until_true 5 listens "$p"
run -- "${client[@]}" -p "$p" root@127.0.0.1 "cat $PWD/data" >got || fail "to the host: exit $?"
same got data
run -- "${client[@]}" -p "$p" root@127.0.0.1 "cat >$PWD/up" <data || fail "upload: exit $?"
same up data
kill $server

run -- sh -c "$sshd ${options[*]} -p 4022 & s=\$!; sleep 1; ${client[*]} -p 4022 root@127.0.0.1 'cat $PWD/data' >got2; e=\$?; kill \$s; exit \$e" ||
    fail "inside: exit $?"
same got2 data
