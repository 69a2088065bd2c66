/*
 * Counters of a stack, named as Linux's SNMP MIBs (RFC 4022, RFC 4113, RFC 4293), and one for each drop reason.
 */
#ifndef WI_BASE_STATS_H
#define WI_BASE_STATS_H

#include <stdint.h>
#include <weir/drop.h>

/* clang-format would indent each line of this list further than the last. */
/* clang-format off */
#define WI_STAT_LIST(X) \
    X(IpInReceives) X(IpInDelivers) X(IpOutRequests) X(IpOutNoRoutes) X(IpReasmReqds) X(IpReasmOKs) X(IpReasmFails) \
    X(IpReasmTimeout) X(IpFragOKs) X(IpFragFails) X(IpFragCreates) \
    X(InNoECTPkts) X(InECT1Pkts) X(InECT0Pkts) X(InCEPkts) X(IcmpInMsgs) X(IcmpOutMsgs) X(IcmpInErrors) \
    X(IcmpOutErrors) X(IcmpOutRateLimited) X(UdpInDatagrams) X(UdpOutDatagrams) X(UdpNoPorts) X(UdpInErrors) \
    X(UdpRcvbufErrors) X(UdpSndbufErrors) X(TcpActiveOpens) X(TcpPassiveOpens) X(TcpAttemptFails) X(TcpEstabResets) \
    X(TcpCurrEstab) X(TcpInSegs) X(TcpOutSegs) X(TcpRetransSegs) X(TcpInErrs) X(TcpOutRsts) X(TcpOutRstsRateLimited) X(ListenOverflows) \
    X(ListenDrops) X(SyncookiesSent) X(SyncookiesRecv) X(SyncookiesFailed) X(TWOpened) X(TWRecycled) X(PAWSActive) \
    X(PAWSEstab) X(PAWSOldAck) X(DelayedACKs) X(TCPTimeouts) X(TCPFastRetrans) X(TCPSlowStartRetrans) X(TCPSackRecovery) \
    X(TCPRenoRecovery) X(TCPLossProbes) X(TCPDSACKRecv) X(TCPDSACKOldSent) X(TCPOFOQueue) X(TCPAckCompressed) X(TcpTimeoutRehash) X(TcpDuplicateDataRehash) X(TCPOFODrop) X(TCPRcvCollapsed) X(TCPRcvQDrop) \
    X(TCPChallengeACK) X(TCPSYNChallenge) X(TCPAbortOnData) X(TCPAbortOnClose) X(TCPAbortOnMemory) \
    X(TCPAbortOnTimeout) X(TCPAbortOnLinger) X(TCPKeepAlive) X(TCPMTUPSuccess) X(TCPMTUPFail) X(TCPZeroWindowProbes) X(TCPSackReneging) X(TCPWqueueTooBig) \
    X(TCPParked) X(TCPWoken) X(TCPScoreboardSteps) X(TCPDeliveredCE) X(NeighFailed) \
    X(NeighQueueDrops) X(TCPFastOpenActive) X(TCPFastOpenActiveFail) X(TCPFastOpenPassive) X(TCPFastOpenPassiveFail) \
    X(TCPFastOpenListenOverflow) X(TCPFastOpenCookieReqd) X(TCPFastOpenBlackhole) X(TCPFastOpenPassiveAltKey)
/* clang-format on */

#define WI_STAT_ENUM(name) WI_STAT_##name,
enum wi_stat { WI_STAT_LIST(WI_STAT_ENUM) WI_STAT_N };
#undef WI_STAT_ENUM

struct wi_stats {
    uint64_t count[WI_STAT_N];
    uint64_t drop[WEIR_DROP_N];
};

/* As weir_stat_get. */
int wi_stats_get(const struct wi_stats *, const char *name, uint64_t *value);

#endif
