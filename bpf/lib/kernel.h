/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The few kernel types and functions that are no UAPI, named as the kernel
 * names them; CO-RE finds the fields of the running one.
 */
#ifndef NGFW_KERNEL_H
#define NGFW_KERNEL_H

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2
#define AF_INET6 10

#define __kernel_type __attribute__((preserve_access_index))

union nf_inet_addr {
	__u32 all[4];
	__be32 ip;
} __kernel_type;

struct nf_conntrack_man {
	union nf_inet_addr u3;
	union {
		__be16 all;
	} u;
	__u16 l3num;
} __kernel_type;

struct nf_conntrack_tuple {
	struct nf_conntrack_man src;
	struct {
		union nf_inet_addr u3;
		union {
			__be16 all;
		} u;
		__u8 protonum;
		__u8 dir;
	} dst;
} __kernel_type;

struct nf_conntrack_tuple_hash {
	struct nf_conntrack_tuple tuple;
} __kernel_type;

struct ip_ct_tcp {
	__u8 state;
} __kernel_type;

union nf_conntrack_proto {
	struct ip_ct_tcp tcp;
} __kernel_type;

struct nf_conn {
	struct nf_conntrack_tuple_hash tuplehash[2];
	union nf_conntrack_proto proto;
} __kernel_type;

struct sk_buff {
	unsigned long _nfct;
} __kernel_type;

/* include/linux/netfilter/nf_conntrack_tcp.h: from here on a connection ends. */
#define TCP_CONNTRACK_FIN_WAIT 4

/* net/netfilter/nf_conntrack_bpf.c */
struct bpf_ct_opts {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};
#define NF_BPF_CT_OPTS_SZ 12
#define BPF_F_CURRENT_NETNS (-1)

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
					 __u32 tuple_size, struct bpf_ct_opts *opts,
					 __u32 opts_size) __ksym;
extern void bpf_ct_release(struct nf_conn *ct) __ksym;
extern int bpf_ct_change_timeout(struct nf_conn *ct, __u32 timeout) __ksym; /* ms */

struct bpf_map {
	__u32 max_entries;
} __kernel_type;

/*
 * The kernel's own view of a TC program's packet, whose context it is. Linux 6.2
 * brought functions that the verifier follows such pointers by
 * (bpf_cast_to_kern_ctx, bpf_rdonly_cast); to do with 6.1, fields are copied.
 */
#define kernel_skb(type, skb) ((struct type *)(void *)(skb))

/* A field of a kernel object: zero where nothing can be read. */
#define kernel_field(field)                                                  \
	({                                                                   \
		__typeof__(field) _copy;                                     \
		bpf_probe_read_kernel(&_copy, sizeof(_copy), &(field));      \
		_copy;                                                       \
	})

/* A subprogram that the verifier takes for itself, knowing no caller. */
#define SUBPROGRAM __attribute__((noinline))

#define atomic_add(p, n) __sync_fetch_and_add(p, n)

#endif
