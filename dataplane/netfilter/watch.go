package netfilter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// State says what the table holds, for comparison alone: every rule ever loaded
// has a number of its own. "" says that there is no table.
func State() (string, error) {
	c, err := nftables.New()
	if err != nil {
		return "", fmt.Errorf("open nftables: %w", err)
	}
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return "", fmt.Errorf("list nftables chains: %w", err)
	}
	var b strings.Builder
	for _, chain := range chains {
		if chain.Table.Name != TableName {
			continue
		}
		rules, err := c.GetRules(chain.Table, chain)
		if errors.Is(err, unix.ENOENT) {
			continue // taken away meanwhile
		}
		if err != nil {
			return "", fmt.Errorf("read chain %s: %w", chain.Name, err)
		}
		fmt.Fprintf(&b, "%s:", chain.Name)
		for _, r := range rules {
			fmt.Fprintf(&b, " %d", r.Handle)
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// Watch calls changed after every change of nftables, by whomever and of
// whichever table, until ctx ends. Changes that come together are one call.
func Watch(ctx context.Context, changed func()) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("watch nftables: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)}); err != nil {
		return fmt.Errorf("watch nftables: %w", err)
	}
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	buf := make([]byte, 64<<10)
	for ctx.Err() == nil {
		n, err := unix.Poll(poll, int(time.Second.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("watch nftables: %w", err)
		}
		if n <= 0 {
			continue
		}
		for err = nil; err == nil || errors.Is(err, unix.ENOBUFS); { // what was lost was a change too
			_, _, err = unix.Recvfrom(fd, buf, 0)
		}
		if !errors.Is(err, unix.EAGAIN) {
			return fmt.Errorf("watch nftables: %w", err)
		}
		changed()
	}
	return nil
}
