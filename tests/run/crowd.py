import asyncio,sys
async def main():
    n=int(sys.argv[1]); 
    async def h(r,w):
        d=await r.readexactly(5); await asyncio.sleep(0.5); w.write(d*1000); await w.drain(); w.close()
    s=await asyncio.start_server(h,'127.0.0.1',0,backlog=4096); p=s.sockets[0].getsockname()[1]
    async def c(i):
        r,w=await asyncio.open_connection('127.0.0.1',p); w.write(b'%05d'%i); x=await r.read(); w.close(); return x==b'%05d'%i*1000
    print(all(await asyncio.gather(*[c(i) for i in range(n)])))
asyncio.run(main())
