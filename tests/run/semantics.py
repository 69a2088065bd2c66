import socket,signal,os,threading,time,select,struct
ls=socket.socket(); ls.bind(('127.0.0.1',0)); ls.listen()
class X(Exception): pass
def h(*a): raise X
signal.signal(signal.SIGALRM,h); signal.setitimer(signal.ITIMER_REAL,0.2)
try: ls.accept()
except X: print('accept interrupted')
# SA_RESTART style
n=[]
signal.signal(signal.SIGALRM,lambda *a:n.append(1)); signal.setitimer(signal.ITIMER_REAL,0.1,0.1)
def later():
    time.sleep(0.55); c=socket.create_connection(ls.getsockname()); c.sendall(b'hi'); global C; C=c
threading.Thread(target=later).start()
c,a=ls.accept(); time.sleep(.2); signal.setitimer(signal.ITIMER_REAL,0); print('accepted after',len(n)>=4, c.recv(10,socket.MSG_PEEK),c.recv(10), a==C.getsockname())
ls.settimeout(0.1)
try: ls.accept()
except Exception as e: print(repr(e))
# RST
C.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack('ii',1,0)); C.sendall(b'last'); time.sleep(.1); C.close(); time.sleep(.2)
print(c.recv(10))
try: print(c.recv(10))
except Exception as e: print(repr(e))
try: c.send(b'x'); time.sleep(.1); c.send(b'x')
except Exception as e: print(repr(e))
# close with unread -> peer gets RST
c1=socket.create_connection(ls.getsockname()); s1,_=ls.accept(); c1.sendall(b'zz'); time.sleep(.1); s1.close(); time.sleep(.1)
try: print(c1.recv(10))
except Exception as e: print(repr(e))
# half close
c1=socket.create_connection(ls.getsockname()); s1,_=ls.accept(); c1.sendall(b'abc'); c1.shutdown(socket.SHUT_WR); print(s1.recv(10),s1.recv(10)); s1.sendall(b'back'); s1.close(); print(c1.recv(10),c1.recv(10))
# nonblocking connect + poll
c2=socket.socket(); c2.setblocking(False); p=select.poll(); p.register(c2,select.POLLOUT|select.POLLIN)
try: c2.connect(ls.getsockname())
except BlockingIOError: print('EINPROGRESS')
print(p.poll(2000)[0][1], c2.getsockopt(socket.SOL_SOCKET,socket.SO_ERROR)); s2,_=ls.accept()
c3=socket.socket(); c3.setblocking(False); p=select.poll(); p.register(c3,select.POLLOUT|select.POLLIN); e=select.epoll(); e.register(c3,select.EPOLLOUT|select.EPOLLET)
try: c3.connect(('127.0.0.1',1))
except BlockingIOError: print('EINPROGRESS')
print(e.poll(2), p.poll(2000)[0][1], c3.getsockopt(socket.SOL_SOCKET,socket.SO_ERROR))
try: c3.connect(ls.getsockname())
except BlockingIOError: print('EINPROGRESS again')
except Exception as x: print(repr(x))
time.sleep(.1); print(c3.getsockopt(socket.SOL_SOCKET,socket.SO_ERROR), c3.connect_ex(ls.getsockname()))
print(ls.getsockopt(socket.SOL_SOCKET,socket.SO_ACCEPTCONN),c1.getsockopt(socket.SOL_SOCKET,socket.SO_TYPE),c1.family, c2.getsockopt(socket.IPPROTO_TCP,socket.TCP_MAXSEG)>100)
u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); u.connect(('127.0.0.1',1)); u.send(b'x'); u.settimeout(1)
try: print(u.recvfrom(10))
except Exception as e: print(repr(e))
pid=os.fork()
if pid==0:
    s2.sendall(b'from child'); os._exit(0)
os.waitpid(pid,0); time.sleep(.1); print(c2.recv(20))
s2.close(); time.sleep(.1)
print(c2.recv(20))
a,b=socket.socketpair(); socket.send_fds(a,[b'x'],[c2.fileno()]); m,f,_,_=socket.recv_fds(b,10,1); x=socket.socket(fileno=f[0]); print(x.getsockname()==c2.getsockname(), x.getpeername()==s2 if 0 else True)
# the urgent byte
ls=socket.socket(); ls.bind(('127.0.0.1',0)); ls.listen()
o=socket.create_connection(ls.getsockname()); q,_=ls.accept(); o.sendall(b'abc'); o.send(b'de!',socket.MSG_OOB); time.sleep(.2); o.sendall(b'after'); time.sleep(.2)
print(select.select([],[],[q],2)[2]==[q], q.recv(100), q.recv(1,socket.MSG_OOB), q.recv(100))
