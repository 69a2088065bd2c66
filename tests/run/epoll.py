"""epoll over TCP sockets, one line each: epoll.sh compares what the kernel and weir say."""
import errno, select, socket, time

E = select
NAMES = {E.EPOLLIN: 'IN', E.EPOLLOUT: 'OUT', E.EPOLLPRI: 'PRI', E.EPOLLERR: 'ERR', E.EPOLLHUP: 'HUP', E.EPOLLRDHUP: 'RDHUP'}
SETTLE = 0.1  # what is under way arrives


def pair():
    lobby = socket.socket()
    lobby.bind(('127.0.0.1', 0))
    lobby.listen(5)
    a = socket.socket()
    a.connect(lobby.getsockname())
    b, _ = lobby.accept()
    lobby.close()
    return a, b


def said(epoll, wait=SETTLE):
    """What is ready within a moment, asked once."""
    end = time.monotonic() + wait
    events = []
    while not events and time.monotonic() < end:
        events = epoll.poll(max(0, end - time.monotonic()))
    return '+'.join(NAMES[bit] for _, ev in events for bit in NAMES if ev & bit) or 'nothing'


def failure(call, *args):
    try:
        call(*args)
        return 'ok'
    except OSError as e:
        return errno.errorcode[e.errno]


def watched(sock, events):
    epoll = E.epoll()
    epoll.register(sock, events)
    return epoll


def level():
    a, b = pair()
    e = watched(b, E.EPOLLIN)
    yield said(e)
    a.send(b'abcd')
    yield from (said(e), said(e))
    b.recv(2)
    yield said(e)
    b.recv(2)
    yield said(e)
    e.modify(b, E.EPOLLIN | E.EPOLLOUT)
    yield said(e)


def edge():
    a, b = pair()
    e = watched(b, E.EPOLLIN | E.EPOLLET)
    a.send(b'abcd')
    yield from (said(e), said(e))
    a.send(b'ef')  # unread bytes before it or not: an arrival is an edge
    yield from (said(e), said(e))
    b.recv(1)  # reading a part is none
    yield said(e)
    e.modify(b, E.EPOLLIN | E.EPOLLET)  # setting anew tells of what there is
    yield from (said(e), said(e))


def fill(sock):
    n = 0
    try:
        while True:
            n += sock.send(bytes(65536))
    except BlockingIOError:
        return n


def edge_out():
    a, b = pair()
    e = watched(a, E.EPOLLOUT | E.EPOLLET)
    yield from (said(e), said(e))
    a.setblocking(False)
    sent = fill(a)
    while said(e) == 'OUT':  # buffers further on took some
        sent += fill(a)
    yield said(e)
    got = 0
    while got < sent:
        got += len(b.recv(1 << 20))
    yield from (said(e, 1), said(e))


def edge_added_late():
    a, b = pair()
    a.send(b'x')
    time.sleep(SETTLE)
    e = watched(b, E.EPOLLIN | E.EPOLLET)
    yield from (said(e), said(e))


def oneshot():
    a, b = pair()
    e = watched(b, E.EPOLLIN | E.EPOLLONESHOT)
    a.send(b'x')
    yield from (said(e), said(e))
    a.send(b'y')
    yield said(e)
    e.modify(b, E.EPOLLIN | E.EPOLLONESHOT)
    yield from (said(e), said(e))
    a.close()  # not even a hang-up wakes it before it is set anew
    yield said(e)
    e.modify(b, E.EPOLLIN | E.EPOLLRDHUP | E.EPOLLONESHOT)
    yield said(e)


def ends():
    a, b = pair()
    e = watched(b, E.EPOLLRDHUP)
    a.shutdown(socket.SHUT_WR)
    yield said(e)
    e.modify(b, E.EPOLLIN)
    yield said(e)
    b.shutdown(socket.SHUT_WR)
    time.sleep(SETTLE)
    yield said(e)
    a, b = pair()
    e = watched(b, E.EPOLLIN | E.EPOLLRDHUP | E.EPOLLET)
    a.send(b'x')
    yield said(e)
    a.shutdown(socket.SHUT_WR)
    yield from (said(e), said(e))


def reset():
    import struct
    a, b = pair()
    e = watched(b, E.EPOLLIN)
    a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    a.close()
    yield said(e, 1)
    yield failure(b.recv, 1)
    yield said(e)


def nested():
    a, b = pair()
    inner = watched(b, E.EPOLLIN)
    outer = watched(inner, E.EPOLLIN)
    yield said(outer)
    a.send(b'x')
    yield from (said(outer), said(outer))
    b.recv(1)
    yield said(outer)
    sharp = watched(inner, E.EPOLLIN | E.EPOLLET)
    a.send(b'y')
    yield from (said(sharp), said(sharp))
    yield said(inner)
    a.send(b'z')
    yield said(sharp)


def refusals():
    a, b = pair()
    e, f = E.epoll(), E.epoll()
    yield failure(e.modify, b, E.EPOLLIN)
    yield failure(e.unregister, b)
    yield failure(e.register, b, E.EPOLLIN)
    yield failure(e.register, b, E.EPOLLIN)
    yield failure(e.register, e, E.EPOLLIN)
    yield failure(e.register, f, E.EPOLLIN)
    yield failure(f.register, e, E.EPOLLIN)
    yield failure(e.modify, b, E.EPOLLIN | E.EPOLLEXCLUSIVE)
    yield failure(f.register, b, E.EPOLLIN | E.EPOLLEXCLUSIVE)
    yield failure(f.modify, b, E.EPOLLIN)
    yield failure(f.register, a, E.EPOLLIN | E.EPOLLEXCLUSIVE | E.EPOLLONESHOT)


def exclusive():
    lobby = socket.socket()
    lobby.bind(('127.0.0.1', 0))
    lobby.listen(5)
    many = [watched(lobby, E.EPOLLIN | E.EPOLLEXCLUSIVE) for _ in range(3)]
    yield said(many[0])
    c = socket.socket()
    c.connect(lobby.getsockname())
    yield 'some' if any(said(e) == 'IN' for e in many) else 'none'
    lobby.accept()
    yield [said(e, 0.02) for e in many]


def closed():
    a, b = pair()
    e = watched(b, E.EPOLLIN)
    copy = b.dup()
    a.send(b'x')
    b.close()
    yield said(e)  # the file is open still
    copy.close()
    yield said(e)


for scene in (level, edge, edge_out, edge_added_late, oneshot, ends, reset, nested, refusals, exclusive, closed):
    for n, line in enumerate(scene()):
        print(scene.__name__, n, line, flush=True)
