#!/usr/bin/env bash
# 1 GiB over loopback: curl alone, and the same curl under weir run over a clean link. The goal is a quarter of the former.
set -u
for need in curl python3; do
    command -v $need >/dev/null || {
        echo "skip: $need is not installed"
        exit 0
    }
done
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

# The best of three, in bytes per second.
best()
{
    local top=0 speed
    for _ in 1 2 3; do
        speed=$("$@" curl -sS -o /dev/null -w '%{speed_download}' "$url") || exit 1
        [ "${speed%.*}" -gt "$top" ] && top=${speed%.*}
    done
    echo "$top"
}

alone=$(best env)
under=$(best "$WEIR" run -q --)
awk -v a="$alone" -v u="$under" 'BEGIN {
    printf "curl alone      %6.2f Gbit/s\ncurl under weir %6.2f Gbit/s\nratio           %6.2f (goal 0.25)\n", a * 8e-9, u * 8e-9, u / a
    exit u / a < 0.25
}'
