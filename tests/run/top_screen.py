"""weir top on a terminal: top_screen.py WEIR SIGNAL|KEY. Ends well if it draws, obeys, and gives the terminal back."""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

weir, how = sys.argv[1:]
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 140, 0, 0))
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    if how == "stop":
        os.setpgid(0, 0)  # a leader of a session is not stopped: nobody could go on with it
    else:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(weir, [weir, "top", "-d", "0.2"])
shown = b""


def until(what, since=0):
    """Read until it shows."""
    global shown
    end = time.monotonic() + 30
    while what not in shown[since:]:
        assert time.monotonic() < end, (what, shown[-2000:])
        if select.select([master], [], [], 1)[0]:
            shown += os.read(master, 65536)


def press(keys):
    since = len(shown)
    os.write(master, keys)
    return since


until(b"\x1b[?1049h")
until(b"LIMITED BY")
until(b"ESTAB")
until(b"by rtt", press(b"t"))
until(b"the least first", press(b"R"))
until(b"PAUSED", press(b" "))
until(b"by rate", press(b"r"))
press(b" ")
until(b"filter: dport = :1_", press(b"/dport = :1"))
until(b"only dport = :1", press(b"\r"))
until(b"0 connections")
until(b"is no test", press(b"/nonsense\r"))
until(b"keys:", press(b"k"))
since = len(shown)
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 5, 40, 0, 0))
os.kill(pid, signal.SIGWINCH)
until(b"\x1b[J", since)
until(b"\x1b[J", len(shown))
frame = shown[shown.rindex(b"\x1b[H", 0, shown.rindex(b"\x1b[J")):]
lines = frame.split(b"\x1b[J")[0].split(b"\r\n")
assert len(lines) <= 5, lines
plain = [line.replace(b"\x1b[H", b"").replace(b"\x1b[K", b"").replace(b"\x1b[1m", b"").replace(b"\x1b[7m", b"").replace(b"\x1b[m", b"") for line in lines]
assert max(map(len, plain)) <= 40, plain
assert termios.tcgetattr(slave)[3] & termios.ECHO == 0
if how == "stop":
    since = len(shown)
    os.kill(pid, signal.SIGTSTP)
    until(b"\x1b[?1049l", since)
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    assert termios.tcgetattr(slave) == before
    since = len(shown)
    os.kill(pid, signal.SIGCONT)
    until(b"\x1b[?1049h", since)
    how = "q"
since = len(shown)
if how == "q":
    press(b"q")
else:
    os.kill(pid, int(how))
until(b"\x1b[?1049l", since)
_, status = os.waitpid(pid, 0)
if how == "q":
    assert status == 0, status
else:
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == int(how), status
assert termios.tcgetattr(slave) == before
assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
