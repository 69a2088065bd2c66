/*
 * The dumbbell of bench/sim_weir.c in ns-3 (Debian's libns3-dev): the same links, delays, buffers and flows, the same count.
 *
 *   bench-sim-ns3 FLOWS WARM_MS COUNTED_MS     of virtual time
 */
#include <ns3/applications-module.h>
#include <ns3/core-module.h>
#include <ns3/internet-module.h>
#include <ns3/network-module.h>
#include <ns3/point-to-point-module.h>
#include <ns3/traffic-control-module.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

using namespace ns3;

namespace {

uint64_t crossed;
std::vector<Ptr<PacketSink>> sinks;

void CountPacket(Ptr<const Packet>)
{
    crossed++;
}

void SetDefaults(const char *send_bytes)
{
    Config::SetDefault("ns3::TcpL4Protocol::SocketType", TypeIdValue(TcpCubic::GetTypeId()));
    Config::SetDefault("ns3::TcpSocket::SegmentSize", UintegerValue(1448)); /* and 12 bytes of timestamps */
    Config::SetDefault("ns3::TcpSocket::SndBufSize", UintegerValue(4 << 20));
    Config::SetDefault("ns3::TcpSocket::RcvBufSize", UintegerValue(6 << 20));
    Config::SetDefault("ns3::TcpSocket::InitialCwnd", UintegerValue(10));
    Config::SetDefault("ns3::TcpSocketBase::Sack", BooleanValue(true));
    Config::SetDefault("ns3::TcpSocketBase::Timestamp", BooleanValue(true));
    Config::SetDefault("ns3::TcpSocketBase::WindowScaling", BooleanValue(true));
    Config::SetDefault("ns3::TcpSocketBase::MinRto", TimeValue(MilliSeconds(200)));
    Config::SetDefault("ns3::BulkSendApplication::SendSize", StringValue(send_bytes));
}

Ipv4InterfaceContainer Join(Ptr<Node> near, Ptr<Node> far, const char *rate, const char *delay, const char *queue, unsigned n)
{
    PointToPointHelper link;
    link.SetDeviceAttribute("DataRate", StringValue(rate));
    link.SetChannelAttribute("Delay", StringValue(delay));
    link.SetQueue("ns3::DropTailQueue", "MaxSize", StringValue(queue));
    NetDeviceContainer devices = link.Install(near, far);
    for (uint32_t i = 0; i < 2; i++)
        devices.Get(i)->TraceConnectWithoutContext("MacRx", MakeCallback(&CountPacket));
    char base[32];
    snprintf(base, sizeof base, "10.%u.%u.0", n >> 8, n & 255);
    Ipv4AddressHelper addresses(base, "255.255.255.0");
    Ipv4InterfaceContainer ends = addresses.Assign(devices);
    TrafficControlHelper().Uninstall(devices); /* the device's queue is the buffer */
    return ends;
}

void BeginFlow(Ptr<Node> client, Ptr<Node> server, Ipv4Address to)
{
    PacketSinkHelper sink("ns3::TcpSocketFactory", InetSocketAddress(Ipv4Address::GetAny(), 5001));
    sinks.push_back(sink.Install(server).Get(0)->GetObject<PacketSink>());
    BulkSendHelper bulk("ns3::TcpSocketFactory", InetSocketAddress(to, 5001));
    bulk.Install(client).Start(Seconds(0));
}

uint64_t Received()
{
    uint64_t n = 0;
    for (auto &s : sinks)
        n += s->GetTotalRx();
    return n;
}

double CpuSeconds()
{
    timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return static_cast<double>(ts.tv_sec) + static_cast<double>(ts.tv_nsec) / 1e9;
}

} // namespace

int main(int argc, char **argv)
{
    unsigned flows = argc >= 4 ? static_cast<unsigned>(strtoul(argv[1], nullptr, 10)) : 0;
    if (flows < 1 || flows > 1000) {
        fprintf(stderr, "usage: bench-sim-ns3 1-1000 WARM_MS COUNTED_MS\n");
        return 2;
    }
    uint64_t warm = strtoull(argv[2], nullptr, 10), counted = strtoull(argv[3], nullptr, 10);
    SetDefaults(argc > 4 ? argv[4] : "65536");
    NodeContainer routers(2), clients(flows), servers(flows);
    InternetStackHelper internet;
    internet.Install(routers);
    internet.Install(clients);
    internet.Install(servers);
    Join(routers.Get(0), routers.Get(1), "1Gbps", "18ms", "5000000B", 1);
    for (unsigned i = 0; i < flows; i++) {
        Join(clients.Get(i), routers.Get(0), "10Gbps", "1ms", "1500000B", 2 * i + 2);
        auto ends = Join(routers.Get(1), servers.Get(i), "10Gbps", "1ms", "1500000B", 2 * i + 3);
        BeginFlow(clients.Get(i), servers.Get(i), ends.GetAddress(1));
    }
    Ipv4GlobalRoutingHelper::PopulateRoutingTables();

    Simulator::Stop(MilliSeconds(warm));
    Simulator::Run();
    uint64_t pkts = crossed, got = Received();
    double began = CpuSeconds();
    Simulator::Stop(MilliSeconds(counted));
    Simulator::Run();
    double took = CpuSeconds() - began;
    pkts = crossed - pkts;
    got = Received() - got;
    printf("sim\tflows=%u\tunits=%llu\tcpu_s=%.3f\tper_s=%.0f\tgoodput_mbit_s=%.1f\n", flows, static_cast<unsigned long long>(pkts),
           took, static_cast<double>(pkts) / took, static_cast<double>(got) * 8e-3 / static_cast<double>(counted));
    Simulator::Destroy();
    return 0;
}
