# node: http client, refusal, a server inside, resolver by UDP.
. "$TESTS/lib.sh"
need node python3
mkdir www
blob www/file 2000000
serve www
run -- node -e '
    const http = require("http"), fs = require("fs");
    http.get("http://127.0.0.1:'"$port"'/file", r => r.pipe(fs.createWriteStream("got")));' || fail "client: exit $?"
same got www/file

refused=$(free_port)
got=$(run -- node -e 'require("net").connect('"$refused"', "127.0.0.1").on("error", e => console.log(e.code))')
equal refused "$got" ECONNREFUSED

got=$(run -- node -e '
    const http = require("http");
    const s = http.createServer((q, a) => a.end("inside " + q.url)).listen(0, "127.0.0.1", () =>
        http.get({port: s.address().port, path: "/x", agent: false}, r => {
            r.on("data", d => console.log("" + d));
            r.on("end", () => s.close());
        }));') || fail "server: exit $?"
equal server "$got" "inside /x"

got=$(run -- node -e '
    const d = require("dgram"), a = d.createSocket("udp4"), b = d.createSocket("udp4");
    a.on("message", (m, from) => { console.log("" + m, from.address); a.close(); b.close(); });
    a.bind(0, "127.0.0.1", () => b.send("datagram", a.address().port, "127.0.0.1"));') || fail "udp: exit $?"
equal udp "$got" "datagram 127.0.0.1"
