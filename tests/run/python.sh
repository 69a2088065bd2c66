# python3: http.server behind -p, urllib, asyncio.
. "$TESTS/lib.sh"
need python3 curl
mkdir www
blob www/file 2000000
p=$(free_port)
"$WEIR" run -q -p "$p:4100" -- python3 -m http.server 4100 --directory www >/dev/null 2>&1 &
server=$!
until_true 10 curl -sf -o got "http://127.0.0.1:$p/file"
same got www/file
kill $server
wait $server

p=$(free_port)
"$WEIR" run -q -p "127.0.0.1:$p:4100" -- python3 -m http.server 4100 --bind 127.0.0.1 --directory www >/dev/null 2>&1 &
server=$!
until_true 10 curl -sf -o got "http://127.0.0.1:$p/file"
kill $server
wait $server

serve www
run -- python3 -c "
import urllib.request
open('got2', 'wb').write(urllib.request.urlopen('http://127.0.0.1:$port/file').read())" || fail "urllib: exit $?"
same got2 www/file

got=$(run -- python3 - <<'P'
import asyncio
async def main():
    async def serve(r, w):
        w.write((await r.readline()).upper())
        await w.drain()
        w.close()
    s = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = s.sockets[0].getsockname()[1]
    async def ask(i):
        r, w = await asyncio.open_connection("127.0.0.1", port)
        w.write(b"hello %d\n" % i)
        answer = await r.read()
        w.close()
        return answer.decode().strip()
    print(",".join(await asyncio.gather(*[ask(i) for i in range(8)])))
asyncio.run(main())
P
) || fail "asyncio: exit $?"
equal asyncio "$got" "HELLO 0,HELLO 1,HELLO 2,HELLO 3,HELLO 4,HELLO 5,HELLO 6,HELLO 7"
