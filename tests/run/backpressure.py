import socket,threading,time,hashlib
l=socket.socket(); l.bind(('127.0.0.1',0)); l.listen()
def srv():
    c,_=l.accept(); h=hashlib.md5(); n=0
    while True:
        d=c.recv(65536); 
        if not d: break
        h.update(d); n+=len(d)
        if n<3000000: time.sleep(0.01)
    c.sendall(h.hexdigest().encode()); c.close()
threading.Thread(target=srv).start()
c=socket.create_connection(l.getsockname()); data=bytes(range(256))*200000; c.sendall(data); c.shutdown(socket.SHUT_WR); print(c.recv(100).decode()==hashlib.md5(data).hexdigest())
