# curl: download and upload, both families, keep-alive, a refusal.
. "$TESTS/lib.sh"
need curl python3
mkdir www
blob www/file 5000000
serve www ::

run -- curl -sS -o got "http://127.0.0.1:$port/file" || fail "IPv4: exit $?"
same got www/file
run -- curl -sS -o got "http://[::1]:$port/file" || fail "IPv6: exit $?"
same got www/file
run -- curl -sS -o got1 "http://127.0.0.1:$port/file" -o got2 "http://127.0.0.1:$port/file" || fail "twice: exit $?"
same got1 www/file
same got2 www/file

up=$(free_port)
python3 - "$up" >upped <<'P' &
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        sys.stdout.buffer.write(self.rfile.read(int(self.headers["Content-Length"])))
        sys.stdout.flush()
        self.send_response(201)
        self.end_headers()
    def log_message(self, *a): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H).handle_request()
P
until_true 10 listens "$up"
run -- curl -sS -T www/file "http://127.0.0.1:$up/" || fail "upload: exit $?"
wait $!
same upped www/file

refused=$(free_port)
run -- curl -sS "http://127.0.0.1:$refused/" 2>err
equal "refused" $? 7
