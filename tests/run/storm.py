import socket,signal,time,threading,sys
n=[0]
def h(*a): n[0]+=1
signal.signal(signal.SIGALRM,h); signal.siginterrupt(signal.SIGALRM,False); signal.setitimer(signal.ITIMER_REAL,0.003,0.003)
ok=0
for i in range(10):
    s=socket.create_connection(('127.0.0.1',int(sys.argv[1]))); s.sendall(b'GET /hello HTTP/1.0\r\n\r\n'); d=b''
    while True:
        x=s.recv(4096)
        if not x: break
        d+=x
    ok+=d.endswith(b'hello\n')
u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); u.bind(('127.0.0.1',0)); v=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
got=0
def snd():
    for i in range(200): v.sendto(b'%d'%i,u.getsockname()); time.sleep(.004)
threading.Thread(target=snd).start()
seq=[int(u.recvfrom(100)[0]) for i in range(200)]
signal.setitimer(signal.ITIMER_REAL,0)
print(ok, n[0]>50, seq==list(range(200)))
