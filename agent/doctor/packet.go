package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"ngfw.sh/agent/settings"
)

func (d *Doctor) btf() Result {
	const check = "btf"
	info, err := fs.Stat(d.deps.Root, "sys/kernel/btf/vmlinux")
	if err != nil {
		return fail(check, "the kernel does not describe its types: /sys/kernel/btf/vmlinux is not there",
			"use a kernel built with CONFIG_DEBUG_INFO_BTF=y")
	}
	return ok(check, fmt.Sprintf("/sys/kernel/btf/vmlinux, %d KiB", info.Size()>>10))
}

func (d *Doctor) bpffs(s settings.Settings) Result {
	const check = "bpffs"
	f, where, err := d.nearest(s.BPFDir)
	if err == nil && f.Type == unix.BPF_FS_MAGIC {
		return ok(check, s.BPFDir+" is on a bpffs")
	}
	detail := fmt.Sprintf("%s is not on a bpffs (looked at %s)", s.BPFDir, where)
	if err != nil {
		detail = fmt.Sprintf("%s cannot be examined: %v", where, err)
	}
	return fail(check, detail, "mount -t bpf bpf /sys/fs/bpf (in the agent's mount namespace), or set bpf_dir to one that is mounted")
}

func (d *Doctor) conntrack() Result {
	const check = "conntrack"
	if _, err := fs.Stat(d.deps.Root, "proc/sys/net/netfilter/nf_conntrack_count"); err != nil {
		return fail(check, "the kernel tracks no connections", "modprobe nf_conntrack, and name it in /etc/modules-load.d")
	}
	return ok(check, "connections are tracked")
}

// kfuncs of net/netfilter/nf_conntrack_bpf.c that the packet programs call.
var kfuncs = []string{"bpf_skb_ct_lookup", "bpf_ct_release"}

// kfuncs looks for the functions' names among the strings of the kernel's type
// information (the names stand there between zero bytes), in the kernel's own
// or in that of the module.
func (d *Doctor) kfuncs() Result {
	const check = "conntrack kfuncs"
	lacking := slices.Clone(kfuncs)
	for _, name := range []string{"sys/kernel/btf/vmlinux", "sys/kernel/btf/nf_conntrack"} {
		b, err := fs.ReadFile(d.deps.Root, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return warn(check, "cannot be told: "+err.Error(), "run as root")
		}
		lacking = slices.DeleteFunc(lacking, func(f string) bool { return bytes.Contains(b, []byte("\x00"+f+"\x00")) })
	}
	if len(lacking) > 0 {
		return fail(check, "the kernel lacks "+strings.Join(lacking, ", "),
			"modprobe nf_conntrack; if that is done, use a kernel built with CONFIG_NF_CONNTRACK and CONFIG_DEBUG_INFO_BTF_MODULES=y")
	}
	return ok(check, strings.Join(kfuncs, ", "))
}

// listTables names the tables that translate addresses, ours left out.
func listTables() ([]string, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	chains, err := c.ListChains()
	if err != nil {
		return nil, err
	}
	families := map[nftables.TableFamily]string{nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6", nftables.TableFamilyINet: "inet"}
	var names []string
	for _, chain := range chains {
		name := families[chain.Table.Family] + " " + chain.Table.Name
		if chain.Type == nftables.ChainTypeNAT && name != "inet ngfw" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (d *Doctor) nftables() Result {
	const check = "nftables"
	_, err := d.deps.Tables()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return warn(check, "cannot be told without privileges", "run as root")
	case err != nil:
		return fail(check, "the kernel does not answer: "+err.Error(), "modprobe nf_tables; NAT and the closed-by-default table need it")
	}
	return ok(check, "the kernel answers")
}

// translators looks for NAT of others, as a ruleset that was there before the agent.
func (d *Doctor) translators() []Result {
	const check = "sole NAT"
	others, err := d.deps.Tables()
	switch {
	case err != nil: // the check nftables says it
		return nil
	case len(others) > 0:
		r := warn(check, "another translates addresses, too: table "+strings.Join(others, ", table "),
			"make NAT rules of its rules, then nft delete table "+others[0]+"; what an engine for containers has there it needs for its own networks")
		r.Lost = "what it translates otherwise than the policy is dropped as nat_mismatch"
		return []Result{r}
	}
	return []Result{ok(check, "nobody else translates addresses")}
}

func (d *Doctor) features() []Result {
	if d.deps.Kernel == nil {
		return []Result{warn("packet programs", "not examined by this build", "start the agent and read ngfw-agent status")}
	}
	var results []Result
	found := d.deps.Kernel.Features()
	if how := d.deps.Kernel.Attachment(); how != "" {
		results = append(results, ok("attachment", "by "+how))
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		err := found[name]
		switch {
		case err == nil:
			results = append(results, ok(name, "available"))
		case errors.Is(err, fs.ErrPermission):
			results = append(results, warn(name, "cannot be told without privileges", "run as root").without(nothing))
		case slices.Contains(d.cfg.Optional, name):
			results = append(results, warn(name, err.Error(), "nothing must be done: the agent works without; a newer kernel or driver has it"))
		default:
			results = append(results, fail(name, err.Error(), fmt.Sprintf("use a kernel that has it, from %d.%d", oldestMajor, oldestMinor)).without(nothing))
		}
	}
	return results
}

func (d *Doctor) forwarding() []Result {
	var results []Result
	for _, f := range []struct{ check, file, name string }{
		{"forwarding IPv4", "proc/sys/net/ipv4/ip_forward", "net.ipv4.ip_forward"},
		{"forwarding IPv6", "proc/sys/net/ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding"},
	} {
		b, err := fs.ReadFile(d.deps.Root, f.file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			results = append(results, warn(f.check, "the kernel lacks the protocol", "nothing must be done if none of it is to be forwarded"))
		case err != nil:
			results = append(results, warn(f.check, "cannot be told: "+err.Error(), "run as root"))
		case strings.TrimSpace(string(b)) == "0":
			results = append(results, warn(f.check, f.name+" is 0: this machine routes nothing now",
				"start the agent, which forwards once its policy is in force; if it stays 0, look for "+f.name+" in /etc/sysctl.d"))
		default:
			results = append(results, ok(f.check, f.name+" is on"))
		}
	}
	return results
}

// bridges looks whether IP's netfilter hooks are run for frames that a bridge takes
// from its ports (br_netfilter). Then conntrack settles their translation before the
// bridge's own interface has them, where the packet programs say which it is.
func (d *Doctor) bridges() Result {
	const check = "plain bridges"
	var on []string
	for _, name := range []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"} {
		b, err := fs.ReadFile(d.deps.Root, "proc/sys/net/bridge/"+name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // no br_netfilter
		}
		if err != nil {
			return warn(check, "cannot be told: "+err.Error(), "run as root")
		}
		if strings.TrimSpace(string(b)) != "0" {
			on = append(on, "net.bridge."+name)
		}
	}
	if len(on) > 0 {
		r := warn(check, strings.Join(on, " and ")+" is 1 (br_netfilter is loaded, often by a container engine)",
			"sysctl -w "+strings.Join(on, "=0 ")+"=0, and the same in /etc/sysctl.d")
		r.Lost = "NAT rules do not translate what arrives by a port of a bridge; it is dropped"
		return r
	}
	return ok(check, "ports of bridges are left to the bridge")
}
