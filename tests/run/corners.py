"""Corners of the socket calls, one line each: corners.sh compares what the kernel and weir say. Argument: 4 or 6."""
import socket,os,select,time,struct,errno,threading,sys,signal,fcntl
fam = socket.AF_INET6 if len(sys.argv)>1 and sys.argv[1]=='6' else socket.AF_INET
LO='::1' if fam==socket.AF_INET6 else '127.0.0.1'
S=socket
def name(e):
    return errno.errorcode.get(e.errno,e.errno) if isinstance(e,OSError) and e.errno else repr(e)
class Hang(Exception): pass
def alrm(*a): raise Hang()
def T(label):
    def deco(f):
        signal.signal(signal.SIGALRM,alrm); signal.alarm(4)
        try: r=f()
        except Exception as e: r='EXC '+str(name(e))
        signal.alarm(0); print(label,'=>',r); sys.stdout.flush()
        return f
    return deco
def lst(n=5,**k):
    s=S.socket(fam); s.bind((LO,0)); s.listen(n); return s
def pair():
    l=lst(); c=S.socket(fam); c.connect(l.getsockname()); a,_=l.accept(); l.close(); return c,a
def err(f,*a,**k):
    try: r=f(*a,**k); return r
    except OSError as e: return name(e)

@T('getsockname fresh')
def _(): s=S.socket(fam); return s.getsockname()
@T('getpeername fresh')
def _(): s=S.socket(fam); return s.getpeername()
@T('bind twice')
def _():
    s=S.socket(fam); s.bind((LO,0)); p=s.getsockname(); 
    return p[0], err(s.bind,(LO,0))
@T('bind in use')
def _():
    l=lst(); s=S.socket(fam); return err(s.bind,l.getsockname())
@T('bind in use reuseaddr')
def _():
    l=lst(); s=S.socket(fam); s.setsockopt(S.SOL_SOCKET,S.SO_REUSEADDR,1); return err(s.bind,l.getsockname())
@T('bind nonlocal')
def _():
    s=S.socket(fam); return err(s.bind,('8.8.8.8' if fam==S.AF_INET else '2001:4860::8',0))
@T('accept before listen')
def _():
    s=S.socket(fam); s.bind((LO,0)); return err(s.accept)
@T('listen unbound')
def _():
    s=S.socket(fam); s.listen(); a=s.getsockname(); return a[0],a[1]>0
@T('connect to listener via any')
def _():
    s=S.socket(fam); s.bind(('',0)); s.listen(); c=S.socket(fam); c.connect((LO,s.getsockname()[1])); a,p=s.accept()
    return p==c.getsockname(), a.getsockname()==c.getpeername(), a.getsockname()[0]
@T('connect refused')
def _(): s=S.socket(fam); return err(s.connect,(LO,1)), err(s.connect,(LO,1)), s.getsockopt(S.SOL_SOCKET,S.SO_ERROR)
@T('connect self port listen')
def _():
    l=lst(); return err(l.connect,l.getsockname())
@T('connect twice')
def _():
    l=lst(); c=S.socket(fam); c.connect(l.getsockname()); return err(c.connect,l.getsockname())
@T('listen on connected')
def _():
    c,a=pair(); return err(c.listen)
@T('shutdown unconnected')
def _(): s=S.socket(fam); return err(s.shutdown,S.SHUT_WR)
@T('poll connected')
def _():
    c,a=pair(); p=select.poll(); p.register(c,select.POLLIN|select.POLLOUT|select.POLLRDHUP); r=[p.poll(100)[0][1]]
    a.send(b'x'); time.sleep(.05); r.append(p.poll(100)[0][1]); a.shutdown(S.SHUT_WR); time.sleep(.05); r.append(p.poll(100)[0][1]); c.shutdown(S.SHUT_WR); time.sleep(.05); r.append(p.poll(100)[0][1]); return r
@T('poll listener')
def _():
    l=lst(); p=select.poll(); p.register(l,select.POLLIN|select.POLLOUT); r=[p.poll(0)]; c=S.socket(fam); c.connect(l.getsockname()); r.append(p.poll(500)[0][1]); l.accept(); r.append(p.poll(0)); return r
@T('close with unread')
def _():
    c,a=pair(); c.send(b'abc'); time.sleep(.05); a.close(); time.sleep(.1); return err(c.recv,1)
@T('shutdown WR then write')
def _():
    c,a=pair(); c.shutdown(S.SHUT_WR); r=[err(c.send,b'x'),a.recv(1),a.send(b'yy'),c.recv(2), err(c.shutdown,S.SHUT_WR)]; return r
@T('shutdown listener wakes accept')
def _():
    l=lst(); r=[]
    t=threading.Thread(target=lambda: r.append(err(l.accept))); t.start(); time.sleep(.1); l.shutdown(S.SHUT_RDWR); t.join(2); return r, t.is_alive()
@T('close listener: later connect')
def _():
    l=lst(); ad=l.getsockname(); l.close(); c=S.socket(fam); return err(c.connect,ad)
@T('listener closed with queued')
def _():
    l=lst(); c=S.socket(fam); c.connect(l.getsockname()); l.close(); time.sleep(.1); return err(c.recv,1)
@T('MSG_PEEK')
def _():
    c,a=pair(); c.send(b'hello'); time.sleep(.05); return a.recv(3,S.MSG_PEEK),a.recv(5)
@T('MSG_WAITALL')
def _():
    c,a=pair()
    def w():
        for i in range(5): c.send(b'xy'); time.sleep(.02)
    threading.Thread(target=w).start(); return a.recv(10,S.MSG_WAITALL)
@T('MSG_WAITALL eof')
def _():
    c,a=pair(); c.send(b'abc'); c.close(); return a.recv(10,S.MSG_WAITALL)
@T('MSG_DONTWAIT')
def _():
    c,a=pair(); return err(a.recv,1,S.MSG_DONTWAIT)
@T('MSG_TRUNC tcp')
def _():
    c,a=pair(); c.send(b'hello'); time.sleep(.05); b=bytearray(3); return err(a.recv_into,b,3,S.MSG_TRUNC), err(a.recv,10,S.MSG_DONTWAIT)
@T('recvfrom tcp addr')
def _():
    c,a=pair(); c.send(b'hello'); return a.recvfrom(5)
@T('recvmsg tcp')
def _():
    c,a=pair(); c.send(b'hello'); r=a.recvmsg(5,100); return r[0],r[1],r[2],r[3]
@T('sendmsg tcp multi iov')
def _():
    c,a=pair(); n=c.sendmsg([b'ab',b'cd',b'ef']); return n,a.recv(10)
@T('FIONREAD')
def _():
    c,a=pair(); c.send(b'hello'); time.sleep(.05); b=fcntl.ioctl(a,0x541B,b'\0'*4); return struct.unpack('i',b)
@T('SIOCOUTQ')
def _():
    c,a=pair(); c.send(b'hello'); time.sleep(.1); b=fcntl.ioctl(c,0x5411,b'\0'*4); return struct.unpack('i',b)
@T('nonblock inherit')
def _():
    l=lst(); l.setblocking(False); c=S.socket(fam); c.connect(l.getsockname()); time.sleep(.05); fd,_=l._accept(); f=fcntl.fcntl(fd,fcntl.F_GETFL); os.close(fd); return bool(f&os.O_NONBLOCK), bool(fcntl.fcntl(l.fileno(),fcntl.F_GETFD)&1)
@T('rcvtimeo')
def _():
    c,a=pair(); a.setsockopt(S.SOL_SOCKET,S.SO_RCVTIMEO,struct.pack('ll',0,100000)); t=time.time(); r=err(a.recv,1); return r, .08<time.time()-t<.6, struct.unpack('ll',a.getsockopt(S.SOL_SOCKET,S.SO_RCVTIMEO,16))
@T('accept rcvtimeo')
def _():
    a=lst(); a.setsockopt(S.SOL_SOCKET,S.SO_RCVTIMEO,struct.pack('ll',0,100000)); t=time.time(); r=err(a.accept); return r, .08<time.time()-t<.6
@T('TCP_CONGESTION')
def _():
    s=S.socket(fam); r=err(s.setsockopt,6,13,b'reno'); return r, s.getsockopt(6,13,16).rstrip(b'\0'), err(s.setsockopt,6,13,b'nonesuch')
@T('opt unknown')
def _():
    s=S.socket(fam); return err(s.getsockopt,S.SOL_SOCKET,9999), err(s.setsockopt,S.SOL_SOCKET,9999,1), err(s.setsockopt,6,9999,1), err(s.setsockopt,0,9999,1), err(s.setsockopt,41,9999,1), err(s.setsockopt, 17, 1, 1), err(s.setsockopt,132,1,1)
@T('linger get')
def _():
    s=S.socket(fam); s.setsockopt(S.SOL_SOCKET,S.SO_LINGER,struct.pack('ii',1,5)); return struct.unpack('ii',s.getsockopt(S.SOL_SOCKET,S.SO_LINGER,8))
@T('bindtodevice')
def _():
    s=S.socket(fam); return err(s.setsockopt,S.SOL_SOCKET,S.SO_BINDTODEVICE,b'nonesuch\0'), s.getsockopt(S.SOL_SOCKET,S.SO_BINDTODEVICE,16)
if fam==S.AF_INET6:
    @T('v6only')
    def _():
        s=S.socket(fam); g=s.getsockopt(41,26); s.setsockopt(41,26,1); s.bind(('::',0)); s.listen(); c=S.socket(); r=err(c.connect,('127.0.0.1',s.getsockname()[1])); return g,r, err(s.setsockopt,41,26,0)
    @T('mapped accept')
    def _():
        s=S.socket(fam); s.bind(('::',0)); s.listen(); c=S.socket(); c.connect(('127.0.0.1',s.getsockname()[1])); a,p=s.accept(); return p[0],a.getsockname()[0], a.getpeername()==p
    @T('mapped connect')
    def _():
        s=S.socket(); s.bind(('127.0.0.1',0)); s.listen(); c=S.socket(fam); c.connect(('::ffff:127.0.0.1',s.getsockname()[1])); return c.getpeername()[0],c.getsockname()[0]
    @T('dual stack conflict')
    def _():
        s=S.socket(fam); s.bind(('::',0)); s.listen(); b=S.socket(); r=err(b.bind,('0.0.0.0',s.getsockname()[1])); return r
    @T('v4 addr on v6')
    def _():
        import ctypes
        libc=ctypes.CDLL(None,use_errno=True); s=S.socket(fam); sa=struct.pack('H',2)+struct.pack('>H',9)+bytes([127,0,0,1])+b'\0'*8
        r=libc.connect(s.fileno(),sa,16); e1=errno.errorcode.get(ctypes.get_errno()); r=libc.bind(s.fileno(),sa,16); return e1, errno.errorcode.get(ctypes.get_errno())
@T('edge triggered')
def _():
    c,a=pair(); e=select.epoll(); e.register(a,select.EPOLLIN|select.EPOLLET); c.send(b'ab'); time.sleep(.05); r=[len(e.poll(.3))]; a.recv(1); r.append(len(e.poll(.05))); c.send(b'c'); time.sleep(.05); r.append(len(e.poll(.3))); return r
@T('oneshot')
def _():
    c,a=pair(); e=select.epoll(); e.register(a,select.EPOLLIN|select.EPOLLONESHOT); c.send(b'ab'); r=[len(e.poll(.5)),len(e.poll(.05))]; e.modify(a,select.EPOLLIN|select.EPOLLONESHOT); r.append(len(e.poll(.5))); return r
@T('epoll nonblocking connect refused')
def _():
    s=S.socket(fam); s.setblocking(False); e=select.epoll(); e.register(s,select.EPOLLIN|select.EPOLLOUT); r=[err(s.connect,(LO,1))]; r.append([v for _,v in e.poll(1)]); r.append(s.getsockopt(S.SOL_SOCKET,S.SO_ERROR)); r.append(s.getsockopt(S.SOL_SOCKET,S.SO_ERROR)); return r
@T('dup')
def _():
    c,a=pair(); d=os.dup(c.fileno()); c.close(); os.write(d,b'hi'); r=a.recv(5); os.close(d); return r,a.recv(1)
@T('dup getsockname')
def _():
    c,a=pair(); n=c.getsockname(); d=c.dup(); c.close(); return d.getsockname()==n, d.getpeername()==a.getsockname()
@T('fork share')
def _():
    c,a=pair(); pid=os.fork()
    if pid==0: c.send(b'child'); os._exit(0)
    c.close(); r=a.recv(10); os.waitpid(pid,0); return r,a.recv(10)
@T('exec inherit')
def _():
    c,a=pair(); c.set_inheritable(True)
    import subprocess
    subprocess.run([sys.executable,'-c','import socket;s=socket.socket(fileno=%d);s.send(repr(s.getpeername()[0]).encode())'%c.fileno()],close_fds=False); c.close()
    d=b''
    while 1:
        x=a.recv(100)
        if not x: break
        d+=x
    return d
@T('SCM_RIGHTS')
def _():
    x,y=S.socketpair(); l=lst(); pid=os.fork()
    if pid==0:
        _,f,_,_=S.recv_fds(y,1,1); s=S.socket(fileno=f[0]); s.send(b'worker '+str(s.family==fam).encode()); s.close(); os._exit(0)
    c=S.socket(fam); c.connect(l.getsockname()); a,_=l.accept(); S.send_fds(x,[b'1'],[a.fileno()]); a.close(); os.waitpid(pid,0); return c.recv(50),c.recv(1)
@T('SCM_RIGHTS listener')
def _():
    x,y=S.socketpair(); l=lst(); ad=l.getsockname(); pid=os.fork()
    if pid==0:
        l.close(); _,f,_,_=S.recv_fds(y,1,1); s=S.socket(fileno=f[0]); a,_=s.accept(); a.send(b'w'); a.close(); os._exit(0)
    S.send_fds(x,[b'1'],[l.fileno()]); l.close(); c=S.socket(fam); c.connect(ad); r=c.recv(5); os.waitpid(pid,0); return r
@T('splice/sendfile')
def _():
    c,a=pair(); f=open(sys.argv[0],'rb'); n=os.fstat(f.fileno()).st_size; m=0
    def rd():
        d=b''
        while 1:
            x=a.recv(65536)
            if not x: break
            d+=x
        R.append(d)
    R=[]; t=threading.Thread(target=rd); t.start()
    while m<n: m+=os.sendfile(c.fileno(),f.fileno(),m,n-m)
    c.close(); t.join(); return R[0]==open(sys.argv[0],'rb').read()
@T('splice')
def _():
    c,a=pair(); r,w=os.pipe(); c.send(b'spliced'); time.sleep(.05); n=os.splice(a.fileno(),w,100); return n,os.read(r,100)
@T('splice to sock')
def _():
    c,a=pair(); r,w=os.pipe(); os.write(w,b'spliced'); n=os.splice(r,c.fileno(),7); return n,a.recv(10)
@T('writev/readv')
def _():
    c,a=pair(); os.writev(c.fileno(),[b'a',b'bc']); b=[bytearray(1),bytearray(4)]; n=os.readv(a.fileno(),b); return n,b
@T('lseek')
def _():
    c,a=pair(); return err(os.lseek,c.fileno(),0,0), err(os.pread,c.fileno(),1,0)
@T('fstat')
def _():
    c,a=pair(); import stat; return stat.S_ISSOCK(os.fstat(c.fileno()).st_mode)
@T('bad fd')
def _():
    import ctypes; libc=ctypes.CDLL(None,use_errno=True); r=[]
    f=os.open('/dev/null',0)
    for fd in (f,999): 
        libc.listen(fd,1); r.append(errno.errorcode[ctypes.get_errno()])
        libc.shutdown(fd,1); r.append(errno.errorcode[ctypes.get_errno()])
    return r
@T('efault')
def _():
    import ctypes; libc=ctypes.CDLL(None,use_errno=True); l=lst(); r=[]
    for f,a in ((libc.bind,(ctypes.c_void_p(8),16)),(libc.connect,(ctypes.c_void_p(8),16)),(libc.getsockname,(ctypes.c_void_p(8),ctypes.c_void_p(8))),(libc.setsockopt,(1,2,ctypes.c_void_p(8),4)),(libc.getsockopt,(1,2,ctypes.c_void_p(8),ctypes.c_void_p(8)))):
        r.append((f(l.fileno(),*a),errno.errorcode[ctypes.get_errno()]))
    return r
@T('close in other thread')
def _():
    c,a=pair(); r=[]
    t=threading.Thread(target=lambda: r.append(err(a.recv,1)),daemon=True); t.start(); time.sleep(.05); c.close(); t.join(1); return r
@T('big both ways')
def _():
    c,a=pair(); N=3000000; d=os.urandom(N)
    def echo():
        while 1:
            x=a.recv(65536)
            if not x: break
            a.sendall(x)
        a.shutdown(S.SHUT_WR)
    threading.Thread(target=echo).start(); threading.Thread(target=lambda:(c.sendall(d),c.shutdown(S.SHUT_WR))).start()
    g=b''
    while 1:
        x=c.recv(1<<16)
        if not x: break
        g+=x
    return g==d
@T('concurrent accept threads')
def _():
    l=lst(50); n=[]
    def w():
        a,_=l.accept(); n.append(1); a.close()
    ts=[threading.Thread(target=w) for i in range(20)]; [t.start() for t in ts]
    for i in range(20): c=S.socket(fam); c.connect(l.getsockname()); c.recv(1); c.close()
    [t.join(3) for t in ts]; return len(n)
@T('self connect addr 0')
def _():
    l=lst(); c=S.socket(fam); return err(c.connect,('0.0.0.0' if fam==S.AF_INET else '::',l.getsockname()[1])), c.getpeername()[0]
@T('connect bound to src port')
def _():
    l=lst(); c=S.socket(fam); c.bind((LO,0)); p=c.getsockname(); c.connect(l.getsockname()); return c.getsockname()==p
def U(bind=True):
    s=S.socket(fam,S.SOCK_DGRAM); s.settimeout(2)
    if bind: s.bind((LO,0))
    return s
@T('udp fresh name')
def _():
    s=U(False); return s.getsockname(), err(s.getpeername)
@T('udp basic')
def _():
    a,b=U(),U(False); b.sendto(b'hi',a.getsockname()); d,p=a.recvfrom(10); a.sendto(b'yo',p); return d,b.recvfrom(10)[0], p[0], p[1]==b.getsockname()[1], b.getsockname()[0]
@T('udp connected')
def _():
    a,b=U(),U(False); b.connect(a.getsockname()); r=[b.getsockname()[0]]; b.send(b'x'); d,p=a.recvfrom(5); r.append(p==b.getsockname()); a.sendto(b'ok',p); r.append(b.recv(5)); r.append(b.getpeername()==a.getsockname())
    o=U(); o.sendto(b'stranger',b.getsockname()); b.settimeout(.1); r.append(err(b.recv,10)); return r
@T('udp reconnect')
def _():
    a,c,b=U(),U(),U(False); b.connect(a.getsockname()); b.send(b'1'); b.connect(c.getsockname()); b.send(b'2'); return a.recv(5),c.recv(5)
@T('udp sendto on connected')
def _():
    a,c,b=U(),U(),U(False); b.connect(a.getsockname()); return err(b.sendto,b'x',c.getsockname()), c.recv(5)
@T('udp zero')
def _():
    a,b=U(),U(False); b.sendto(b'',a.getsockname()); return a.recvfrom(5)[0]
@T('udp zero connected write')
def _():
    a,b=U(),U(False); b.connect(a.getsockname()); r=[b.send(b'')]; r.append(a.recv(5)); r.append(os.write(b.fileno(),b'')); a.settimeout(.2); r.append(err(a.recv,5)); return r
@T('udp max')
def _():
    a,b=U(),U(False); r=[]
    for n in (1472,1473,9000,65000,65507 if fam==S.AF_INET else 65527):
        r.append(err(b.sendto,b'z'*n,a.getsockname())); r.append(len(a.recv(70000)))
    r.append(err(b.sendto,b'z'*65528,a.getsockname())); return r
@T('udp trunc')
def _():
    a,b=U(),U(False); b.sendto(b'hello',a.getsockname()); b.sendto(b'world',a.getsockname()); time.sleep(.05); bb=bytearray(2); r=[a.recv_into(bb,2,S.MSG_TRUNC),bytes(bb)]; m=a.recvmsg(2); return r,m[0],m[2]&S.MSG_TRUNC
@T('udp peek')
def _():
    a,b=U(),U(False); b.sendto(b'hello',a.getsockname()); return a.recv(2,S.MSG_PEEK),a.recvfrom(10,S.MSG_PEEK)[0],a.recv(10), err(a.recv,5,S.MSG_DONTWAIT)
@T('udp peektrunc')
def _():
    a,b=U(),U(False); b.sendto(b'hello',a.getsockname()); bb=bytearray(1); return a.recv_into(bb,1,S.MSG_PEEK|S.MSG_TRUNC), a.recv(9)
@T('udp order many')
def _():
    a,b=U(),U(False); a.setsockopt(1,8,1<<20)
    for i in range(100): b.sendto(str(i).encode(),a.getsockname())
    return [a.recv(9) for i in range(100)]==[str(i).encode() for i in range(100)]
@T('udp interleaved sources')
def _():
    a,b,c=U(),U(),U(); r=[]
    for i in range(10): b.sendto(b'b',a.getsockname()); c.sendto(b'c',a.getsockname())
    for i in range(20):
        d,p=a.recvfrom(5); r.append((d==b'b' and p==b.getsockname()) or (d==b'c' and p==c.getsockname()))
    return all(r)
@T('udp FIONREAD')
def _():
    a,b=U(),U(False); b.sendto(b'hello',a.getsockname()); time.sleep(.05); return struct.unpack('i',fcntl.ioctl(a,0x541B,b'\0'*4))
@T('udp shutdown')
def _():
    a,b=U(),U(False); r=[err(b.shutdown,S.SHUT_WR)]; b.connect(a.getsockname()); r.append(err(b.shutdown,S.SHUT_WR)); r.append(err(b.send,b'x')); return r
@T('udp shutdown rd wakes')
def _():
    a,b=U(),U(); a.connect(b.getsockname()); a.settimeout(None); r=[]
    t=threading.Thread(target=lambda:r.append(err(a.recv,5)),daemon=True); t.start(); time.sleep(.1); a.shutdown(S.SHUT_RD); t.join(1); return r
@T('udp rcvtimeo')
def _():
    a=U(); a.setblocking(True); a.setsockopt(1,20,struct.pack('ll',0,100000)); t=time.time(); return err(a.recvfrom,5), err(a.recv,5), time.time()-t<1
@T('udp broadcast denied')
def _():
    if fam!=S.AF_INET: return 0
    b=U(False); return err(b.sendto,b'x',('255.255.255.255',9))
@T('udp broadcast lo')
def _():
    if fam!=S.AF_INET: return 0
    a=U(False); a.bind(('',0)); b=U(False); b.setsockopt(1,6,1); return err(b.sendto,b'x',('127.255.255.255',a.getsockname()[1])), err(a.recv,5)
@T('udp reuseaddr')
def _():
    a=U(); b=U(False); r=[err(b.bind,a.getsockname())]; a2=U(False); a2.setsockopt(1,2,1); a2.bind((LO,0)); b.setsockopt(1,2,1); r.append(err(b.bind,a2.getsockname())); return r
@T('udp pktinfo')
def _():
    a,b=U(False),U(False)
    if fam==S.AF_INET: a.setsockopt(0,8,1)
    else: a.setsockopt(41,S.IPV6_RECVPKTINFO,1)
    a.bind(('',0)); b.sendto(b'x',(LO,a.getsockname()[1])); m=a.recvmsg(10,200); return [(c[0],c[1],c[2][-4:] if fam==S.AF_INET else c[2][:16]) for c in m[1]]
@T('udp ttl/tos cmsg')
def _():
    a,b=U(),U(False)
    if fam==S.AF_INET: a.setsockopt(0,12,1); a.setsockopt(0,13,1)
    else: a.setsockopt(41,S.IPV6_RECVHOPLIMIT,1); a.setsockopt(41,S.IPV6_RECVTCLASS,1)
    b.sendto(b'x',a.getsockname()); return a.recvmsg(10,200)[1]
@T('udp sendmsg pktinfo')
def _():
    a,b=U(),U(False)
    if fam==S.AF_INET: cm=[(0,8,struct.pack('i',0)+S.inet_aton(LO)+b'\0'*4)]
    else: cm=[(41,50,S.inet_pton(fam,LO)+b'\0'*4)]
    b.sendmsg([b'x',b'y'],cm,0,a.getsockname()); return a.recvfrom(5)[0]
@T('udp sendmmsg')
def _():
    import ctypes
    libc=ctypes.CDLL(None,use_errno=True); a,b=U(),U(False); b.connect(a.getsockname())
    class iov(ctypes.Structure): _fields_=[('b',ctypes.c_char_p),('l',ctypes.c_size_t)]
    class mh(ctypes.Structure): _fields_=[('n',ctypes.c_void_p),('nl',ctypes.c_uint),('iov',ctypes.POINTER(iov)),('il',ctypes.c_size_t),('c',ctypes.c_void_p),('cl',ctypes.c_size_t),('f',ctypes.c_int)]
    class mm(ctypes.Structure): _fields_=[('h',mh),('len',ctypes.c_uint)]
    iv=[iov(b'one',3),iov(b'three',5)]; v=(mm*2)(); 
    for i in (0,1): v[i].h.iov=ctypes.pointer(iv[i]); v[i].h.il=1
    r=libc.sendmmsg(b.fileno(),v,2,0); return r,v[0].len,v[1].len,a.recv(9),a.recv(9)
@T('udp blocking recv wake')
def _():
    a,b=U(),U(False); a.settimeout(None); R=[]
    t=threading.Thread(target=lambda:R.append(a.recvfrom(9)[0]),daemon=True); t.start(); time.sleep(.1); b.sendto(b'w',a.getsockname()); t.join(2); return R
@T('udp fork')
def _():
    a,b=U(),U(False); pid=os.fork()
    if pid==0: b.sendto(b'kid',a.getsockname()); os._exit(0)
    r=a.recv(9); os.waitpid(pid,0); return r
@T('udp dup')
def _():
    a,b=U(),U(False); d=a.dup(); n=a.getsockname(); a.close(); b.sendto(b'd',n); return d.recv(5)
@T('udp accept/listen')
def _():
    a=U(); return err(a.listen), err(a.accept)
