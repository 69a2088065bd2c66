/*
 * Packets: reference-counted blocks of bytes, and views into them.
 *
 * A packet's bytes are its head (a small inline area with headroom, for headers) followed by up to WEIR_PKT_FRAGS
 * fragments, each a view into a block. A retransmission, a capture and a receive queue may all view one block; nobody
 * writes into a block that has more than one reference. A packet may be a super-segment: one set of headers over up to
 * 64 KiB of TCP payload, to be cut at every gso_size bytes by whoever can't carry it whole (weir_pkt_segment).
 *
 * References are not atomic: packets and blocks stay in the thread of the stack that made them.
 */
#ifndef WEIR_PKT_H
#define WEIR_PKT_H

#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_PKT_FRAGS    18  /* 64 KiB in 4 KiB pieces, and one more at each end */
#define WEIR_PKT_HEAD_CAP 256 /* the longest stack of headers that weir writes is 14 + 40 + 8 + 60 */

struct weir_pool;

/* A run of bytes. `data` may be written only by its maker, and only before a second reference is taken. */
struct weir_block {
    struct weir_pool *pool; /* NULL for a block that the caller lent (weir_block_lend) */
    uint8_t *data;
    uint32_t refs;
    uint32_t cap;                         /* bytes at data */
    void (*release)(struct weir_block *); /* a lent block's end of use, else NULL */
};

/* A view: `len` bytes at block->data + off. Holds one reference on its block. */
struct weir_frag {
    struct weir_block *block;
    uint32_t off;
    uint32_t len;
};

enum weir_pkt_flag {
    WEIR_PKT_CSUM_PARTIAL =
        1 << 0,                /* out: the transport checksum field holds the pseudo-header's sum; the rest is owed */
    WEIR_PKT_CSUM_OK = 1 << 1, /* in: the transport checksum needs no check (a trusted link, or hardware has checked) */
    WEIR_PKT_CORRUPT = 1 << 2, /* set by an impaired link on purpose; for captures, the stack never looks */
    WEIR_PKT_CWR_ALL = 1 << 3, /* out: a super-segment's CWR flag is every segment's, as part of AccECN's counter (RFC
                                  9768); without this the first one's alone (RFC 3168) */
    WEIR_PKT_DATA_SUM = 1 << 4, /* frag_sum is valid; whatever changes the fragments takes this away */
};

struct weir_pkt {
    struct weir_pkt *next; /* for whoever holds the packet: a queue's link */
    struct weir_pool *pool;
    uint64_t serial; /* of the event that explains why it was sent (struct weir_event), or 0 */
    uint32_t refs;
    uint32_t len;      /* all bytes: head and fragments */
    uint16_t head_off; /* where the head begins within `room`: what is before it is headroom */
    uint16_t head_len;
    uint16_t l3_off;   /* offset of the IP header from the packet's start; valid once the stack has seen it */
    uint16_t l4_off;   /* offset of the transport header, likewise */
    uint16_t gso_size; /* TCP payload bytes in a segment of a super-segment; 0: an ordinary packet */
    uint8_t flags;     /* enum weir_pkt_flag */
    uint8_t frag_n;
    uint8_t frag_cap;  /* WEIR_PKT_FRAGS; more in a super-segment that weir itself has put together on its way in */
    uint16_t frag_sum; /* of all bytes in fragments, as big-endian 16-bit words (RFC 1071), folded */
    struct weir_frag *frags; /* frag_room, or a longer table of the pool's */
    struct weir_frag frag_room[WEIR_PKT_FRAGS];
    uint8_t room[WEIR_PKT_HEAD_CAP];
};

/*
 * A pool that packets and blocks come from.
 *
 * alloc      copied
 * mem_limit  bytes; at the limit weir_pkt_new and weir_block_new return NULL. 0: no limit
 *
 * Returns NULL when even the pool itself could not be had. weir_pool_free lets it go; its memory goes back when the
 * last packet and block of it has been released, so a packet may outlive the stack that sent it.
 */
struct weir_pool *weir_pool_new(const struct weir_alloc *alloc, size_t mem_limit);
void weir_pool_free(struct weir_pool *);
size_t weir_pool_used(const struct weir_pool *); /* bytes in use by packets and blocks */

/* A block of at least `cap` writable bytes with one reference, or NULL. O(1). */
struct weir_block *weir_block_new(struct weir_pool *, size_t cap);

/* Wrap the caller's memory: *block is the caller's too, and release(block) is called when its last reference goes. */
void weir_block_lend(struct weir_block *block, void *data, size_t len, void (*release)(struct weir_block *));
struct weir_block *weir_block_ref(struct weir_block *);
void weir_block_unref(struct weir_block *);

/* An empty packet with one reference and `headroom` bytes (at most WEIR_PKT_HEAD_CAP) before its head, or NULL. O(1).
 */
struct weir_pkt *weir_pkt_new(struct weir_pool *, size_t headroom);
struct weir_pkt *weir_pkt_ref(struct weir_pkt *);
void weir_pkt_unref(struct weir_pkt *);

/* A second packet that views the same blocks, with a head of its own that may be changed; NULL when out of memory. */
struct weir_pkt *weir_pkt_clone(struct weir_pool *, const struct weir_pkt *);

/* A packet that holds a copy of `data`, for a driver that has read a frame. NULL when out of memory. */
struct weir_pkt *weir_pkt_from(struct weir_pool *, const void *data, size_t len);

/* Make room for `len` bytes before the packet's start, and return where they are to be written; NULL when the headroom
 * is spent. */
uint8_t *weir_pkt_push(struct weir_pkt *, size_t len);

/* Make room for `len` bytes at the end of the head; only while there are no fragments. NULL when there is no room. */
uint8_t *weir_pkt_put(struct weir_pkt *, size_t len);

/* Forget the first `len` bytes (at most all). Fragments that end up empty are released. */
void weir_pkt_drop_front(struct weir_pkt *, size_t len);

/* Forget all but the first `len` bytes. */
void weir_pkt_trim(struct weir_pkt *, size_t len);

/* Append a view; takes a reference of its own on the block. 0, or -ENOBUFS when WEIR_PKT_FRAGS are there already. */
int weir_pkt_append(struct weir_pkt *, struct weir_block *, uint32_t off, uint32_t len);

/*
 * The first `len` bytes, contiguous: no copy when they are so already, else gathered into the head.
 * NULL when the packet is shorter, or `len` is beyond what the head can hold. Valid until the packet changes.
 */
const uint8_t *weir_pkt_pull(struct weir_pkt *, size_t len);

/* Copy bytes [off, off + len) out. Returns how many there were. */
size_t weir_pkt_copy(const struct weir_pkt *, size_t off, void *buf, size_t len);

/*
 * For drivers that can't: finish an owed transport checksum (WEIR_PKT_CSUM_PARTIAL). The packet must be the caller's
 * alone. l3_off and l4_off must be set, as they are in what the stack hands to xmit. 0, or -EINVAL when they lie
 * outside.
 */
int weir_pkt_checksum(struct weir_pkt *);

/*
 * For drivers that can't: cut a super-segment into packets of gso_size payload bytes, headers and checksums complete
 * (IPv4 identification counted up; FIN and PSH on the last alone, CWR on the first alone but with
 * WEIR_PKT_CWR_ALL: as hardware TSO does).
 *
 * out, cap   where the packets go, each with one reference for the caller; they view p's blocks and keep its serial
 *
 * Returns how many, 0 and nothing made when `cap` or memory does not suffice. A packet that needs no cut gives one. `p`
 * is left alone.
 */
unsigned weir_pkt_segment(struct weir_pool *, const struct weir_pkt *p, struct weir_pkt **out, unsigned cap);

/* How many packets weir_pkt_segment would make. */
unsigned weir_pkt_segment_count(const struct weir_pkt *);

/*
 * The same for a driver that wants bytes rather than views: each frame is written into memory of its own, payload
 * copied and summed in one pass.
 *
 *     struct weir_cut cut;
 *     if (weir_cut_begin(&cut, pkt) == 0)
 *         while ((len = weir_cut_write(&cut, buf, sizeof buf)) > 0)
 *             send(buf, len);
 *
 * begin: 0, or -EINVAL when a checksum is owed and its header lies outside (weir_pkt_checksum). Any packet will do: one
 * that needs no cut is one frame. It is lent until the last frame, and left alone.
 * len: bytes of the frame that comes next, 0 when there is none.
 * write: the next frame. Returns its length; 0 and nothing done when there is none, or `cap` is too small for it.
 */
struct weir_cut { /* its members are weir's alone */
    const struct weir_pkt *pkt;
    uint32_t hdr_len; /* of what each frame repeats, 0: the packet is a frame as it stands */
    uint32_t at;      /* of the next byte of payload, from the packet's start: in fragment `frag`, or in the head */
    uint32_t frag, frag_off;
    uint32_t seq;
    uint16_t ip_id;
    bool is_v4, is_begun;
    uint64_t ip_sum, l4_sum; /* of the headers, without what differs from frame to frame */
};
int weir_cut_begin(struct weir_cut *, const struct weir_pkt *);
uint32_t weir_cut_len(const struct weir_cut *);
uint32_t weir_cut_write(struct weir_cut *, void *buf, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
