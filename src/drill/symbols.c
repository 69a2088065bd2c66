/*
 * The table (symbols.h). Newer constants than Debian 12's headers have are written as numbers.
 */
#include "drill/symbols.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define ERRNO_MAX 133 /* EHWPOISON of Linux */

struct symbol {
    const char *name;
    int64_t value;
};

#define S(name)                                                                                                        \
    {                                                                                                                  \
#name, (int64_t)name                                                                                           \
    }

/* clang-format off */
static const struct symbol symbols[] = {
    {"NULL", 0}, S(AF_UNSPEC), S(AF_INET), S(AF_INET6), S(PF_INET), S(PF_INET6), S(SOCK_STREAM), S(SOCK_DGRAM), S(SOCK_RAW),
    S(SOCK_NONBLOCK), S(SOCK_CLOEXEC), S(IPPROTO_IP), S(IPPROTO_IPV6), S(IPPROTO_TCP), S(IPPROTO_UDP), S(IPPROTO_ICMP),
    S(IPPROTO_ICMPV6), S(INADDR_ANY), S(INADDR_LOOPBACK),
    S(SOL_SOCKET), {"SOL_IP", 0}, {"SOL_IPV6", 41}, {"SOL_TCP", 6}, {"SOL_UDP", 17},
    S(SO_ACCEPTCONN), S(SO_ATTACH_FILTER), S(SO_BINDTODEVICE), S(SO_BROADCAST), S(SO_DEBUG), S(SO_DETACH_FILTER),
    S(SO_DONTROUTE), S(SO_ERROR), S(SO_KEEPALIVE), S(SO_LINGER), S(SO_NO_CHECK), S(SO_OOBINLINE), S(SO_PASSCRED),
    S(SO_PEERCRED), S(SO_PEERNAME), S(SO_PEERSEC), S(SO_PRIORITY), S(SO_RCVBUF), S(SO_RCVLOWAT), S(SO_RCVTIMEO),
    S(SO_REUSEADDR), S(SO_REUSEPORT), S(SO_SNDBUF), S(SO_SNDLOWAT), S(SO_SNDTIMEO), S(SO_SNDBUFFORCE), S(SO_RCVBUFFORCE),
    S(SO_TIMESTAMP), S(SO_TIMESTAMPNS), S(SO_TIMESTAMPING), S(SO_TYPE), S(SO_MARK), S(SO_PROTOCOL), S(SO_DOMAIN),
    S(SO_MAX_PACING_RATE), S(SO_BUSY_POLL), S(SO_INCOMING_CPU), {"SO_MEMINFO", 55}, {"SO_ZEROCOPY", 60}, {"SO_TXTIME", 61}, {"SO_TXREHASH", 74},
    S(IP_TOS), S(IP_TTL), S(IP_MTU_DISCOVER), S(IP_MTU), S(IP_RECVERR), S(IP_RECVTTL), S(IP_RECVTOS), S(IP_PKTINFO),
    S(IP_TRANSPARENT), S(IP_FREEBIND), S(IP_BIND_ADDRESS_NO_PORT), S(IP_MINTTL), S(IP_MULTICAST_TTL), S(IP_MULTICAST_LOOP),
    S(IP_PMTUDISC_DONT), S(IP_PMTUDISC_WANT), S(IP_PMTUDISC_DO), S(IP_PMTUDISC_PROBE), {"IP_PMTUDISC_INTERFACE", 4}, {"IP_PMTUDISC_OMIT", 5}, {"IP_LOCAL_PORT_RANGE", 51},
    S(IPV6_MTU), S(IPV6_MTU_DISCOVER), S(IPV6_RECVERR), S(IPV6_V6ONLY), S(IPV6_TCLASS), S(IPV6_RECVTCLASS),
    S(IPV6_UNICAST_HOPS), S(IPV6_HOPLIMIT), S(IPV6_RECVHOPLIMIT), S(IPV6_PKTINFO), S(IPV6_RECVPKTINFO),
    S(IPV6_PMTUDISC_DO), S(IPV6_PMTUDISC_WANT), S(IPV6_PMTUDISC_DONT), S(IPV6_PMTUDISC_PROBE), {"IPV6_PMTUDISC_INTERFACE", 4}, {"IPV6_PMTUDISC_OMIT", 5}, {"IPV6_FLOWINFO", 11},
    {"IPV6_FLOWINFO_SEND", 33}, {"IPV6_AUTOFLOWLABEL", 70}, {"IPV6_FLOWLABEL_MGR", 32}, {"IPV6_MINHOPCOUNT", 73},
    S(TCP_NODELAY), S(TCP_MAXSEG), S(TCP_CORK), S(TCP_KEEPIDLE), S(TCP_KEEPINTVL), S(TCP_KEEPCNT), S(TCP_SYNCNT),
    S(TCP_LINGER2), S(TCP_DEFER_ACCEPT), S(TCP_WINDOW_CLAMP), S(TCP_INFO), S(TCP_QUICKACK), S(TCP_CONGESTION),
    S(TCP_MD5SIG), S(TCP_THIN_LINEAR_TIMEOUTS), S(TCP_THIN_DUPACK), S(TCP_USER_TIMEOUT), S(TCP_REPAIR), S(TCP_FASTOPEN),
    S(TCP_TIMESTAMP), S(TCP_NOTSENT_LOWAT), S(TCP_CC_INFO), S(TCP_SAVE_SYN), S(TCP_SAVED_SYN), S(TCP_REPAIR_WINDOW),
    S(TCP_FASTOPEN_CONNECT), S(TCP_ULP), S(TCP_MD5SIG_EXT), S(TCP_FASTOPEN_KEY), S(TCP_FASTOPEN_NO_COOKIE),
    S(TCP_ZEROCOPY_RECEIVE), S(TCP_INQ), {"TCP_CM_INQ", 36}, {"TCP_TX_DELAY", 37}, {"TCP_RTO_MAX_MS", 44},
    {"TCP_RTO_MIN_US", 45}, {"TCP_DELACK_MAX_US", 46}, {"TCP_THIN_LINEAR_TIMEOUTS_ENABLED", 1},
    S(UDP_CORK), S(UDP_SEGMENT), S(UDP_GRO),
    S(MSG_OOB), S(MSG_PEEK), S(MSG_DONTROUTE), S(MSG_CTRUNC), S(MSG_TRUNC), S(MSG_DONTWAIT), S(MSG_EOR), S(MSG_WAITALL),
    S(MSG_FIN), S(MSG_SYN), S(MSG_CONFIRM), S(MSG_RST), S(MSG_ERRQUEUE), S(MSG_NOSIGNAL), S(MSG_MORE), S(MSG_WAITFORONE),
    S(MSG_FASTOPEN), S(MSG_CMSG_CLOEXEC), {"MSG_ZEROCOPY", 0x4000000},
    S(SCM_RIGHTS), {"SCM_TIMESTAMPING", 37}, {"SCM_TIMESTAMPNS", 35}, {"SCM_TIMESTAMP", 29}, {"SCM_TXTIME", 61},
    {"SO_EE_ORIGIN_NONE", 0}, {"SO_EE_ORIGIN_LOCAL", 1}, {"SO_EE_ORIGIN_ICMP", 2}, {"SO_EE_ORIGIN_ICMP6", 3},
    {"SO_EE_ORIGIN_TIMESTAMPING", 4}, {"SO_EE_ORIGIN_ZEROCOPY", 5}, {"SO_EE_CODE_ZEROCOPY_COPIED", 1},
    {"SCM_TSTAMP_SND", 0}, {"SCM_TSTAMP_SCHED", 1}, {"SCM_TSTAMP_ACK", 2},
    {"SOF_TIMESTAMPING_TX_HARDWARE", 1}, {"SOF_TIMESTAMPING_TX_SOFTWARE", 2}, {"SOF_TIMESTAMPING_RX_HARDWARE", 4},
    {"SOF_TIMESTAMPING_RX_SOFTWARE", 8}, {"SOF_TIMESTAMPING_SOFTWARE", 16}, {"SOF_TIMESTAMPING_SYS_HARDWARE", 32},
    {"SOF_TIMESTAMPING_RAW_HARDWARE", 64}, {"SOF_TIMESTAMPING_OPT_ID", 128}, {"SOF_TIMESTAMPING_TX_SCHED", 256},
    {"SOF_TIMESTAMPING_TX_ACK", 512}, {"SOF_TIMESTAMPING_OPT_CMSG", 1024}, {"SOF_TIMESTAMPING_OPT_TSONLY", 2048},
    {"SOF_TIMESTAMPING_OPT_STATS", 4096},
    S(SHUT_RD), S(SHUT_WR), S(SHUT_RDWR),
    S(F_GETFL), S(F_SETFL), S(F_GETFD), S(F_SETFD), S(FD_CLOEXEC), S(O_RDONLY), S(O_WRONLY), S(O_RDWR), S(O_NONBLOCK),
    S(O_CREAT), S(O_TRUNC), S(O_APPEND), S(O_CLOEXEC),
    S(FIONREAD), S(FIONBIO), S(SIOCINQ), S(SIOCOUTQ), S(SIOCATMARK), S(SIOCOUTQNSD),
    S(POLLIN), S(POLLPRI), S(POLLOUT), S(POLLERR), S(POLLHUP), S(POLLNVAL), S(POLLRDNORM), S(POLLRDBAND), S(POLLWRNORM),
    S(POLLWRBAND), S(POLLRDHUP), S(POLLMSG),
    S(EPOLLIN), S(EPOLLPRI), S(EPOLLOUT), S(EPOLLERR), S(EPOLLHUP), S(EPOLLRDNORM), S(EPOLLRDBAND), S(EPOLLWRNORM),
    S(EPOLLWRBAND), S(EPOLLMSG), S(EPOLLRDHUP), S(EPOLLET), S(EPOLLONESHOT), S(EPOLLEXCLUSIVE), {"EPOLLWAKEUP", 1 << 29},
    S(EPOLL_CTL_ADD), S(EPOLL_CTL_DEL), S(EPOLL_CTL_MOD), S(EPOLL_CLOEXEC),
    {"SPLICE_F_MOVE", 1}, {"SPLICE_F_NONBLOCK", 2}, {"SPLICE_F_MORE", 4}, {"SPLICE_F_GIFT", 8},
    /* for %{ }% */
    {"TCP_CA_Open", 0}, {"TCP_CA_Disorder", 1}, {"TCP_CA_CWR", 2}, {"TCP_CA_Recovery", 3}, {"TCP_CA_Loss", 4},
    {"TCPI_OPT_TIMESTAMPS", 1}, {"TCPI_OPT_SACK", 2}, {"TCPI_OPT_WSCALE", 4}, {"TCPI_OPT_ECN", 8}, {"TCPI_OPT_ECN_SEEN", 16},
    {"TCPI_OPT_SYN_DATA", 32}, {"TCPI_OPT_USEC_TS", 64}, {"TCPI_OPT_TFO_CHILD", 128},
    S(TCP_ESTABLISHED), S(TCP_SYN_SENT), S(TCP_SYN_RECV), S(TCP_FIN_WAIT1), S(TCP_FIN_WAIT2), S(TCP_TIME_WAIT),
    S(TCP_CLOSE), S(TCP_CLOSE_WAIT), S(TCP_LAST_ACK), S(TCP_LISTEN), S(TCP_CLOSING), {"TCP_INFINITE_SSTHRESH", 0x7fffffff},
};
/* clang-format on */

bool wdr_symbol(const char *name, int64_t *value)
{
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        if (strcmp(symbols[i].name, name) == 0) {
            *value = symbols[i].value;
            return true;
        }
    }
    int number = wdr_errno_number(name);
    *value = number;
    return number != 0;
}

int wdr_errno_number(const char *name)
{
    if (strcmp(name, "EWOULDBLOCK") == 0)
        name = "EAGAIN";
    if (strcmp(name, "ENOTSUPP") == 0)
        return 524; /* of the kernel alone, and yet some calls return it */
    for (int i = 1; i <= ERRNO_MAX; i++) {
        const char *n = strerrorname_np(i);
        if (n && strcmp(n, name) == 0)
            return i;
    }
    return 0;
}

const char *wdr_errno_name(int number)
{
    const char *n = strerrorname_np(number);
    return n ? n : "E?";
}
