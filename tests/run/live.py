"""What live.sh asks of the page: live.py URL PID."""
import http.client
import json
import os
import re
import socket
import sys
import urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
here = url.netloc


def ask(path, method="GET", **fields):
    c = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    c.putrequest(method, path, skip_host=True)
    for name, value in {"Host": here, **{k.replace("_", "-"): v for k, v in fields.items()}}.items():
        if value is not None:
            c.putheader(name, value)
    c.endheaders()
    return c.getresponse()


def status(path, method="GET", **fields):
    return ask(path, method, **fields).status


page = ask(url.path)
body = page.read().decode()
assert page.status == 200 and 'id="weir-live"' in body and body.rstrip().endswith("</html>")
assert page.getheader("Cache-Control") == "no-store" and "default-src 'none'" in page.getheader("Content-Security-Policy")
assert page.getheader("Referrer-Policy") == "no-referrer" and page.getheader("Access-Control-Allow-Origin") is None

# Who does not know the path, or comes by another name.
wrong = url.path[:5] + ("0" if url.path[5] != "0" else "1") + url.path[6:]
for path in ("/", "/events", wrong, wrong + "events", url.path[:-1], url.path + "x", "/" + "0" * 32 + "/", "//", url.path[:-2] + "/"):
    assert status(path) == 404, path
for host in ("evil.example:%d" % url.port, "127.0.0.1", "127.0.0.1:1", "localhost", None):
    assert status(url.path, Host=host) == 403, host
    assert status(url.path + "events", Host=host) == 403, host
assert status(url.path, Host="localhost:%d" % url.port) == 200
assert status(url.path + "events", Origin="http://evil.example") == 403
assert status(url.path, method="POST") == 405
with socket.create_connection((url.hostname, url.port), timeout=20) as s:
    s.sendall(b"nonsense\r\n\r\n")
    assert b" 400 " in s.recv(1000)
with socket.create_connection((url.hostname, url.port), timeout=20) as s:
    s.sendall(b"x" * 8192)
    assert b" 400 " in s.recv(1000)
inodes = set()
for fd in os.listdir(f"/proc/{sys.argv[2]}/fd"):
    try:
        inodes.add(os.readlink(f"/proc/{sys.argv[2]}/fd/{fd}"))
    except OSError:
        pass
for line in open("/proc/net/tcp").readlines()[1:]:  # it listens on loopback alone
    fields = line.split()
    if f"socket:[{fields[9]}]" in inodes and fields[3] == "0A":
        assert fields[1].startswith("0100007F:"), line
assert not any(f"socket:[{line.split()[9]}]" in inodes and line.split()[3] == "0A" for line in open("/proc/net/tcp6").readlines()[1:])

stream = ask(url.path + "events")
assert stream.status == 200 and stream.getheader("Content-Type") == "text/event-stream"


def event(stream):
    fields = {}
    while True:
        line = stream.readline().decode().rstrip("\n")
        if not line and fields:
            return fields
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value


assert event(stream) == {"retry": "1000"}
begin = json.loads(event(stream)["data"])
assert begin["begin"] and begin["hosts"] == ["program", "gateway"]
print("first event", flush=True)
rows, seen = begin["rows"], begin
while not any(c["verdict"] == "clean" for c in seen["conns"]):
    one = event(stream)
    seen = json.loads(one["data"])
    assert "begin" not in seen
    rows += seen["rows"]
assert re.fullmatch(r"\d+\.\d+\.\d+", one["id"]) and int(one["id"].split(".")[0]) == rows

# Who comes back is told the rest alone, who makes an id up all.
again = ask(url.path + "events", Last_Event_ID="1.0.0")
event(again)
rest = json.loads(event(again)["data"])
assert "begin" not in rest and rest["rows"] >= rows - 1, (rest["rows"], rows)
for bad in ("99999999.1.1", "x", "1.2", "-1.0.0", "1.0.0.0"):
    lost = ask(url.path + "events", Last_Event_ID=bad)
    event(lost)
    assert json.loads(event(lost)["data"])["begin"], bad
    lost.close()

# More who come and say nothing than there is room for: the ones that listen stay, or come back.
silent = [socket.create_connection((url.hostname, url.port)) for _ in range(40)]
assert status(url.path) == 200
descriptors = len(os.listdir(f"/proc/{sys.argv[2]}/fd"))
assert descriptors < 100, descriptors
last = ask(url.path + "events")
event(last)
event(last)
print("ready for the end", flush=True)
while True:
    one = event(last)
    if one.get("event") == "end":
        break
assert one["data"] == "The program has ended, exit status 0.", one
assert last.read() == b""
