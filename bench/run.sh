#!/usr/bin/env bash
# 1 GiB over loopback: curl alone and the same curl under weir run over a clean link, in turn: the median of ROUNDS (7).
# The goal is half of the former.
set -u
for need in curl python3; do
    command -v $need >/dev/null || {
        echo "skip: $need is not installed"
        exit 0
    }
done
here=$(dirname "$0")
dir=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null; rm -rf "$dir"' EXIT
truncate -s 1G "$dir/file"

# sendfile, so that the server isn't what is measured.
python3 -u - "$dir/file" >"$dir/port" <<'P' &
import os, signal, socket, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
f = open(sys.argv[1], "rb")
size = os.fstat(f.fileno()).st_size
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(16)
print(s.getsockname()[1])
while True:
    c, _ = s.accept()
    if os.fork() == 0:
        while not c.recv(4096).endswith(b"\r\n\r\n"):
            pass
        c.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        at = 0
        while at < size:
            at += os.sendfile(c.fileno(), f.fileno(), at, 1 << 20)
        os._exit(0)
    c.close()
P
server=$!
until [ -s "$dir/port" ]; do sleep 0.05; done
url=http://127.0.0.1:$(cat "$dir/port")/

# fetch [COMMAND...]: in bytes per second, once all of it has come.
fetch()
{
    "$@" curl -sS -o /dev/null -w '%{speed_download} %{size_download}\n' "$url" | awk '$2 == 1073741824 { print $1 }'
}

for ((i = 0; i < ${ROUNDS:-7}; i++)); do
    alone=$(fetch env)
    under=$(fetch "$WEIR" run -q --)
    if [ -z "$alone" ] || [ -z "$under" ]; then
        echo "run: curl did not get all of the file" >&2
        exit 1
    fi
    echo "$alone $under"
done >"$dir/pairs" || exit 1
awk -f "$here/pairs.awk" "$dir/pairs" | awk '{
    printf "curl alone      %6.2f Gbit/s\ncurl under weir %6.2f Gbit/s\n", $1 * 8e-9, $2 * 8e-9
    printf "ratio           %6.2f (%.2f-%.2f, goal 0.50)\n", $3, $4, $5
    exit $3 < 0.5
}'
