package liveframe

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"ngfw.sh/lab"
)

// Plain is a router that only forwards.
var Plain = Case{Name: "plain forwarding"}

// NFT is a router with a careful user's few rules: established flows first,
// some drops, and the zones' policies. Forwarding is what lan1 may do.
var NFT = Case{Name: "nft, few rules", Prepare: nft(filter)}

// NFTMasquerade is NFT with source NAT on wan, what a home router does.
var NFTMasquerade = Case{Name: "nft, few rules, masquerade", Masquerades: true, Prepare: nft(filter + masquerade)}

const filter = `
table inet filter {
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
		ct state invalid drop
		ip saddr { 192.0.2.0/24, 198.18.7.0/24 } drop
		tcp dport { 23, 445 } drop
		iifname "iot1" oifname { "lan1", "lan2" } drop
		iifname { "lan1", "lan2", "iot1" } oifname "wan" accept
	}
	chain input {
		type filter hook input priority filter; policy drop;
		iifname "lo" accept
		ct state established,related accept
		meta l4proto { icmp, icmpv6 } accept
		iifname { "lan1", "lan2" } accept
	}
}
`

const masquerade = `
table ip nat {
	chain postrouting {
		type nat hook postrouting priority srcnat;
		oifname "wan" masquerade
	}
}
`

func nft(ruleset string) func(context.Context, *lab.Lab) (func(), error) {
	return func(ctx context.Context, l *lab.Lab) (func(), error) {
		cmd := exec.CommandContext(ctx, "nft", "-f", "-")
		cmd.Stdin = strings.NewReader(ruleset)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := l.Run(lab.RTR, cmd); err != nil {
			return nil, fmt.Errorf("load the rules: %w: %s", err, &said)
		}
		return nil, l.In(lab.RTR, func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644) })
	}
}
