# perl: a client, and a server that forks, inside one run.
. "$TESTS/lib.sh"
need perl python3
mkdir www
echo "hello from the host" >www/file
serve www
got=$(run -- perl -MIO::Socket::INET -e '
    my $s = IO::Socket::INET->new("127.0.0.1:'"$port"'") or die "connect: $!";
    print $s "GET /file HTTP/1.0\r\n\r\n";
    my @lines = <$s>;
    print $lines[-1];') || fail "client: exit $?"
equal client "$got" "hello from the host"

got=$(run -- perl -MIO::Socket::INET -e '
    my $l = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1") or die "listen: $!";
    if (fork == 0) {
        my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $l->sockport) or die "connect: $!";
        print $s "from the child\n";
        exit 0;
    }
    my $c = $l->accept or die "accept: $!";
    print scalar <$c>;
    wait;
    exit $? >> 8;') || fail "server: exit $?"
equal server "$got" "from the child"
