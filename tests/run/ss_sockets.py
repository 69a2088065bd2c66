"""Sockets in every state for ss.sh: over weir and over the kernel alike. Says "ready PORT" and waits for a line."""
import os
import socket
import sys
import threading

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 0))
listener.listen(5)
at = listener.getsockname()
six = socket.socket(socket.AF_INET6)
six.bind(("::", 0))
six.listen(3)
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", 0))

full = socket.create_connection(at)  # its peer does not read: a zero window in the end
full.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
full_peer, _ = listener.accept()
threading.Thread(target=full.sendall, args=(bytes(64 << 20),), daemon=True).start()

closed = socket.create_connection(at)
closed_peer, _ = listener.accept()
closed.close()  # we first: TIME-WAIT is on this side
closed_peer.recv(1)
closed_peer.close()

half = socket.create_connection(at)
half_peer, _ = listener.accept()
half.shutdown(socket.SHUT_WR)
half_peer.recv(1)

waits = socket.create_connection(at)  # nobody accepts it
print("ready", at[1], flush=True)
sys.stdin.readline()
os._exit(0)  # the writer still waits
