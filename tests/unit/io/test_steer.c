/*
 * The program that chooses a queue in the kernel (io/steer.h), run here by an interpreter of the few instructions that
 * it has: for whole packets it must say what weir_steer says (weir/shard.h).
 */
#include "io_test.h"

#include "io/steer.h"

#include <arpa/inet.h>
#include <linux/filter.h>

static struct bpf_insn program[WIO_STEER_INSNS];
static unsigned program_n;

struct machine {
    uint64_t r[11];
    const uint8_t *packet; /* from its network header on */
    size_t len;
    uint16_t protocol; /* network order */
    bool has_ended;
};

static void load_from_packet(struct machine *m, const struct bpf_insn *i)
{
    int64_t at = i->imm - SKF_NET_OFF + (BPF_MODE(i->code) == BPF_IND ? (int64_t)m->r[i->src_reg] : 0);
    size_t size = BPF_SIZE(i->code) == BPF_W ? 4 : BPF_SIZE(i->code) == BPF_H ? 2 : 1;
    m->r[0] = 0;
    m->has_ended = at < 0 || (size_t)at + size > m->len;
    for (size_t k = 0; k < size && !m->has_ended; k++)
        m->r[0] = m->r[0] << 8 | m->packet[(size_t)at + k];
}

static void compute(struct machine *m, const struct bpf_insn *i)
{
    uint32_t a = (uint32_t)m->r[i->dst_reg];
    uint32_t b = BPF_SRC(i->code) == BPF_X ? (uint32_t)m->r[i->src_reg] : (uint32_t)i->imm;
    switch (BPF_OP(i->code)) {
    case BPF_MOV: a = b; break;
    case BPF_AND: a &= b; break;
    case BPF_XOR: a ^= b; break;
    case BPF_RSH: a >>= b; break;
    case BPF_LSH: a <<= b; break;
    case BPF_MUL: a *= b; break;
    case BPF_MOD: a %= b; break;
    default: fail_msg("operation 0x%x", i->code);
    }
    m->r[i->dst_reg] = a;
}

static bool jumps(const struct machine *m, const struct bpf_insn *i)
{
    uint64_t a = m->r[i->dst_reg], b = (uint64_t)i->imm;
    switch (BPF_OP(i->code)) {
    case BPF_JEQ: return a == b;
    case BPF_JNE: return a != b;
    case BPF_JGT: return a > b;
    case BPF_JLT: return a < b;
    default: fail_msg("jump 0x%x", i->code);
    }
    return false;
}

static unsigned run(const uint8_t *packet, size_t len, uint16_t protocol)
{
    struct machine m = {.packet = packet, .len = len, .protocol = htons(protocol)};
    for (unsigned at = 0; !m.has_ended; at++) {
        assert_true(at < program_n);
        const struct bpf_insn *i = &program[at];
        if (i->code == (BPF_JMP | BPF_EXIT))
            break;
        switch (BPF_CLASS(i->code)) {
        case BPF_LD: load_from_packet(&m, i); break;
        case BPF_LDX: m.r[i->dst_reg] = m.protocol; break;
        case BPF_ALU64: m.r[i->dst_reg] = m.r[i->src_reg]; break;
        case BPF_ALU: compute(&m, i); break;
        case BPF_JMP: at += jumps(&m, i) ? (unsigned)i->off : 0; break;
        default: fail_msg("class 0x%x", i->code);
        }
    }
    return (unsigned)m.r[0];
}

static uint32_t next_random(void)
{
    static uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 16);
}

/* Addresses and ports at random, a unicast destination; ports now and then those that are special. */
static void randomize(uint8_t *p, bool is_v4, size_t l4)
{
    static const uint16_t ports[] = {68, 546, 32767, 32768, 60999, 61000, 67, 53};
    for (size_t i = is_v4 ? 12 : 8; i < (is_v4 ? 20u : 40u); i++)
        p[i] = (uint8_t)next_random();
    p[is_v4 ? 16 : 24] = is_v4 ? 10 : 0xfd;
    for (size_t i = 0; i < 4; i++)
        p[l4 + i] = (uint8_t)next_random();
    if (next_random() % 2) {
        uint16_t port = htons(ports[next_random() % 8]);
        memcpy(p + l4 + 2, &port, 2);
    }
}

static void begin(unsigned shard_n, struct weir_rss *rss)
{
    assert_int_equal(weir_rss_init(rss, NULL, shard_n), 0);
    program_n = wio_steer_write(rss, program, WIO_STEER_INSNS);
    assert_true(program_n < WIO_STEER_INSNS);
}

static void test_program_says_what_weir_steer_says(void **state)
{
    (void)state;
    static const uint8_t protos[] = {6, 17, 6, 17, 1, 58, 132};
    for (unsigned shard_n = 2; shard_n <= 16; shard_n++) {
        struct weir_rss rss;
        begin(shard_n, &rss);
        for (unsigned i = 0; i < 3000; i++) {
            uint8_t p[64] = {0};
            bool is_v4 = i % 2;
            size_t hdr_len = is_v4 ? 20 + next_random() % 3 * 4 : 40;
            randomize(p, is_v4, hdr_len);
            p[is_v4 ? 9 : 6] = protos[next_random() % 7];
            p[0] = is_v4 ? (uint8_t)(0x40 | hdr_len / 4) : 0x60;
            if (is_v4 && next_random() % 4 == 0) /* a fragment */
                p[6 + next_random() % 2] = (uint8_t)(1 + next_random() % 0x1f);
            if (p[is_v4 ? 9 : 6] == 1 || p[is_v4 ? 9 : 6] == 58)
                p[hdr_len] = 200; /* of ICMP, what concerns one flow or all is not the program's to see */
            unsigned want = weir_steer_bytes(&rss, WEIR_LINK_RAW_IP, p, sizeof p);
            unsigned got = run(p, sizeof p, is_v4 ? 0x0800 : 0x86dd);
            if (got != want)
                fail_msg("packet %u of IPv%c, protocol %u, %u shards: %u, not %u", i, is_v4 ? '4' : '6',
                         p[is_v4 ? 9 : 6], shard_n, got, want);
        }
    }
}

static void test_program_names_a_queue_for_any_bytes(void **state)
{
    (void)state;
    struct weir_rss rss;
    begin(3, &rss);
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t p[64];
        for (size_t k = 0; k < sizeof p; k++)
            p[k] = (uint8_t)next_random();
        assert_true(run(p, next_random() % (sizeof p + 1), i % 2 ? 0x0800 : 0x86dd) < 3);
    }
    assert_int_equal(run((const uint8_t *)"", 0, 0x0806), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_program_says_what_weir_steer_says),
        cmocka_unit_test(test_program_names_a_queue_for_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
