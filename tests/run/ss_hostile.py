"""Strangers at a control socket: ss_hostile.py PATH. Ends well if the socket answers an honest one all the time."""
import json
import os
import random
import socket
import sys


def connect():
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    s.settimeout(20)
    return s


def honest():
    with connect() as s, s.makefile("rw") as f:
        f.write('{"ask":"hello"}\n{"ask":"sockets","info":true}\n')
        f.flush()
        hello = json.loads(f.readline())
        assert hello["protocol"] == 1 and hello["pid"] > 0, hello
        n = 0
        while True:
            line = json.loads(f.readline())
            if "end" in line:
                break
            assert line["socket"]["proto"] in (6, 17)
            n += 1
        assert n >= 8, n


def errors():
    for text in ("nonsense", "{}", '{"ask":1}', '{"ask":"sockets","host":"x"}', '{"ask":"sockets","proto":"x"}', "[" * 900):
        with connect() as s, s.makefile("rw") as f:
            f.write(text + "\n" + '{"ask":"hello"}\n')
            f.flush()
            assert "error" in json.loads(f.readline()), text
            assert "weir" in json.loads(f.readline()), text


honest()
errors()
rng = random.Random(1)
for _ in range(50):
    with connect() as s:
        s.send(rng.randbytes(rng.randrange(1, 3000)))
with connect() as s:  # a line without an end
    try:
        s.sendall(b"x" * 100000)
    except OSError:
        pass
    data = s.recv(100)
    assert b"too long" in data or data == b"", data
honest()
# Those that ask and don't read: more of them than there is room for.
silent = []
for _ in range(40):
    s = connect()
    s.setblocking(False)
    try:
        for _ in range(100):
            s.sendall(b'{"ask":"sockets","info":true}\n')
    except OSError:
        pass
    silent.append(s)
    if len(silent) % 10 == 0:
        honest()
honest()
gone = 0
for s in silent:
    try:
        while s.recv(1 << 20):
            pass
        gone += 1
    except BlockingIOError:
        pass
    except OSError:
        gone += 1
assert gone >= 40 - 16, gone
descriptors = len(os.listdir(f"/proc/{os.path.basename(sys.argv[1]).split('.')[0]}/fd"))
assert descriptors < 200, descriptors
