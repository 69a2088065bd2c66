/*
 * See steer.h. The hash is unrolled: for each bit of the input, five instructions add the key's window at that place,
 * or nothing; by a product, since the verifier follows both ways of what looks like a choice. A packet of IPv4 takes
 * 500 of them, and there is no table for the cache to keep.
 */
#include "io/steer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DHCP_CLIENT  68
#define DHCP6_CLIENT 546

/* What the registers hold. The packet's own (R6) is where loads from it look for it, and they end in R0. */
enum { R0, R1, R6_PACKET = 6, R7_PROTO, R8_FRAGMENT, R9_HASH };

struct program {
    struct bpf_insn *insn;
    unsigned n, cap;
};

static void add(struct program *p, unsigned code, unsigned dst, unsigned src, int off, uint32_t imm)
{
    if (p->n < p->cap)
        p->insn[p->n] = (struct bpf_insn){.code = (uint8_t)code,
                                          .dst_reg = (uint8_t)(dst & 15),
                                          .src_reg = (uint8_t)(src & 15),
                                          .off = (int16_t)off,
                                          .imm = (int32_t)imm};
    p->n++;
}

static void alu(struct program *p, unsigned op, unsigned dst, uint32_t imm)
{
    add(p, BPF_ALU | op | BPF_K, dst, 0, 0, imm);
}

static void alu_reg(struct program *p, unsigned op, unsigned dst, unsigned src)
{
    add(p, BPF_ALU | op | BPF_X, dst, src, 0, 0);
}

/* R0 = what is at this offset of the network header; where nothing is, the program ends with 0. */
static void load(struct program *p, unsigned size, unsigned off)
{
    add(p, BPF_LD | BPF_ABS | size, 0, 0, 0, (uint32_t)SKF_NET_OFF + off);
}

/* A jump whose end is not known yet. */
static unsigned jump(struct program *p, unsigned op, unsigned reg, uint32_t imm)
{
    add(p, BPF_JMP | op | BPF_K, reg, 0, 0, imm);
    return p->n - 1;
}

static void land(struct program *p, unsigned from)
{
    if (from < p->cap)
        p->insn[from].off = (int16_t)(p->n - from - 1);
}

static void end_with(struct program *p, unsigned reg, uint32_t shard_n)
{
    if (reg != R0)
        alu_reg(p, BPF_MOV, R0, reg);
    alu(p, BPF_MOD, R0, shard_n);
    add(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* R0 is four bytes of the input, which lie at `at` of it. */
static void add_word(struct program *p, const struct weir_rss *r, unsigned at)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        alu_reg(p, BPF_MOV, R1, R0);
        alu(p, BPF_RSH, R1, 31 - bit);
        alu(p, BPF_AND, R1, 1);
        alu(p, BPF_MUL, R1, r->parts[at * 2 + bit / 4][8u >> bit % 4]);
        alu_reg(p, BPF_XOR, R9_HASH, R1);
    }
}

/* R0 has the ports. Of UDP the local one may decide. */
static void add_ports(struct program *p, const struct weir_rss *r, unsigned at, uint16_t dhcp)
{
    unsigned is_tcp = jump(p, BPF_JNE, R7_PROTO, IPPROTO_UDP);
    alu_reg(p, BPF_MOV, R1, R0);
    alu(p, BPF_AND, R1, 0xffff);
    unsigned is_below = jump(p, BPF_JLT, R1, r->port_min), is_above = jump(p, BPF_JGT, R1, r->port_max);
    end_with(p, R1, r->shard_n);
    land(p, is_below);
    land(p, is_above);
    unsigned is_other = jump(p, BPF_JNE, R1, dhcp);
    alu(p, BPF_MOV, R0, 0);
    add(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    land(p, is_other);
    land(p, is_tcp);
    add_word(p, r, at);
}

static void by_hash(struct program *p, const struct weir_rss *r)
{
    alu(p, BPF_AND, R9_HASH, WEIR_RSS_TABLE_N - 1);
    end_with(p, R9_HASH, r->shard_n);
}

static void add_v4(struct program *p, const struct weir_rss *r)
{
    load(p, BPF_H, 6);
    alu_reg(p, BPF_MOV, R8_FRAGMENT, R0);
    alu(p, BPF_AND, R8_FRAGMENT, 0x3fff); /* more of them, or an offset */
    load(p, BPF_B, 9);
    alu_reg(p, BPF_MOV, R7_PROTO, R0);
    for (unsigned at = 0; at < 8; at += 4) {
        load(p, BPF_W, 12 + at);
        add_word(p, r, at);
    }
    unsigned is_fragment = jump(p, BPF_JNE, R8_FRAGMENT, 0);
    unsigned is_tcp = jump(p, BPF_JEQ, R7_PROTO, IPPROTO_TCP), is_other = jump(p, BPF_JNE, R7_PROTO, IPPROTO_UDP);
    land(p, is_tcp);
    load(p, BPF_B, 0);
    alu(p, BPF_AND, R0, 0xf);
    alu(p, BPF_LSH, R0, 2);
    add(p, BPF_LD | BPF_IND, 0, R0, 0, (uint32_t)SKF_NET_OFF); /* a word: BPF_W is 0 */
    add_ports(p, r, 8, DHCP_CLIENT);
    land(p, is_fragment);
    land(p, is_other);
    by_hash(p, r);
}

static void add_v6(struct program *p, const struct weir_rss *r)
{
    load(p, BPF_B, 6);
    alu_reg(p, BPF_MOV, R7_PROTO, R0);
    for (unsigned at = 0; at < 32; at += 4) {
        load(p, BPF_W, 8 + at);
        add_word(p, r, at);
    }
    unsigned is_tcp = jump(p, BPF_JEQ, R7_PROTO, IPPROTO_TCP), is_other = jump(p, BPF_JNE, R7_PROTO, IPPROTO_UDP);
    land(p, is_tcp);
    load(p, BPF_W, 40);
    add_ports(p, r, 32, DHCP6_CLIENT);
    land(p, is_other);
    by_hash(p, r);
}

unsigned wio_steer_write(const struct weir_rss *r, struct bpf_insn *insns, unsigned cap)
{
    struct program p = {.insn = insns, .cap = cap};
    add(&p, BPF_ALU64 | BPF_MOV | BPF_X, R6_PACKET, R1, 0, 0);
    add(&p, BPF_LDX | BPF_MEM | BPF_W, R7_PROTO, R6_PACKET, (int)offsetof(struct __sk_buff, protocol), 0);
    alu(&p, BPF_MOV, R9_HASH, 0);
    unsigned is_v4 = jump(&p, BPF_JEQ, R7_PROTO, htons(ETH_P_IP));
    unsigned is_v6 = jump(&p, BPF_JEQ, R7_PROTO, htons(ETH_P_IPV6));
    alu(&p, BPF_MOV, R0, 0);
    add(&p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    land(&p, is_v4);
    add_v4(&p, r);
    land(&p, is_v6);
    add_v6(&p, r);
    return p.n;
}

int wio_steer_program(const struct weir_rss *r)
{
    static const char license[] = "MIT";
    struct bpf_insn insns[WIO_STEER_INSNS];
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
    attr.insns = (uintptr_t)insns;
    attr.insn_cnt = wio_steer_write(r, insns, WIO_STEER_INSNS);
    attr.license = (uintptr_t)license;
    int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
    return fd < 0 ? -errno : fd;
}
