"""TCP_INFO at each step of a connection over loopback, one line each: tcp_info.sh compares what the kernel and weir say. What is measured
(times, rates, and what the kernel remembers of the path) is left out, and what the machine's settings decide."""
import socket, struct, time

TCP_INFO = 11
FIELDS = [  # linux/tcp.h, in order: (name, struct's letter)
    ('state', 'B'), ('ca_state', 'B'), ('retransmits', 'B'), ('probes', 'B'), ('backoff', 'B'), ('options', 'B'),
    ('wscale', 'B'), ('flags', 'B'), ('rto', 'I'), ('ato', 'I'), ('snd_mss', 'I'), ('rcv_mss', 'I'), ('unacked', 'I'),
    ('sacked', 'I'), ('lost', 'I'), ('retrans', 'I'), ('fackets', 'I'), ('last_data_sent', 'I'), ('last_ack_sent', 'I'),
    ('last_data_recv', 'I'), ('last_ack_recv', 'I'), ('pmtu', 'I'), ('rcv_ssthresh', 'I'), ('rtt', 'I'), ('rttvar', 'I'),
    ('snd_ssthresh', 'I'), ('snd_cwnd', 'I'), ('advmss', 'I'), ('reordering', 'I'), ('rcv_rtt', 'I'), ('rcv_space', 'I'),
    ('total_retrans', 'I'), ('pacing_rate', 'Q'), ('max_pacing_rate', 'Q'), ('bytes_acked', 'Q'), ('bytes_received', 'Q'),
    ('segs_out', 'I'), ('segs_in', 'I'), ('notsent_bytes', 'I'), ('min_rtt', 'I'), ('data_segs_in', 'I'),
    ('data_segs_out', 'I'), ('delivery_rate', 'Q'), ('busy_time', 'Q'), ('rwnd_limited', 'Q'), ('sndbuf_limited', 'Q'),
    ('delivered', 'I'), ('delivered_ce', 'I'), ('bytes_sent', 'Q'), ('bytes_retrans', 'Q'), ('dsack_dups', 'I'),
    ('reord_seen', 'I'), ('rcv_ooopack', 'I'), ('snd_wnd', 'I'), ('rcv_wnd', 'I'), ('rehash', 'I'), ('total_rto', 'H'),
    ('total_rto_recoveries', 'H'), ('total_rto_time', 'I'),
]
MEASURED = {'rto', 'ato', 'last_data_sent', 'last_data_recv', 'last_ack_recv', 'rtt', 'rttvar', 'min_rtt', 'rcv_rtt', 'pacing_rate',
            'delivery_rate', 'busy_time', 'reordering', 'snd_ssthresh'}
MACHINES = {'wscale', 'rcv_ssthresh', 'rcv_space', 'rcv_wnd', 'snd_wnd'}  # follow from its tcp_rmem
LAYOUT = '=' + ''.join(letter for _, letter in FIELDS)


def tell(step, **socks):
    for name, sock in socks.items():
        raw = sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, struct.calcsize(LAYOUT))
        for (field, _), value in zip(FIELDS, struct.unpack(LAYOUT, raw)):
            if field not in MEASURED | MACHINES:
                print(step, name, field, value)


def tcp():
    s = socket.socket()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b'cubic')
    return s


lobby, client = tcp(), tcp()
tell('new', socket=client)
lobby.bind(('127.0.0.1', 0))
lobby.listen(7)
tell('listening', lobby=lobby)
client.connect(lobby.getsockname())
time.sleep(0.05)
tell('connected', lobby=lobby, client=client)
server, _ = lobby.accept()
tell('accepted', lobby=lobby, server=server)
client.send(b'question')
time.sleep(0.1)
tell('asked', client=client, server=server)
server.recv(100)
server.send(b'answer' * 100)
time.sleep(0.1)
tell('answered', client=client, server=server)
client.recv(1000)
client.shutdown(socket.SHUT_WR)
time.sleep(0.1)
tell('half closed', client=client, server=server)
