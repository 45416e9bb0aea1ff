package kernel

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Modules tells init what to load for what the kernel asks for: a module's name
// or alias → files under /lib/modules, in their order.
type Modules map[string][]string

type module struct {
	file    string // in the archive
	depends []string
	aliases []string
	code    []byte
}

// where modules are looked for: what networking needs, in a machine without
// hardware. What they depend on comes from anywhere.
var wanted = []string{"net/", "drivers/net/veth", "drivers/net/dummy", "drivers/net/ifb", "drivers/net/tun",
	"drivers/net/vrf", "drivers/net/macvlan", "drivers/net/bonding/", "drivers/net/wireguard/"}

// unwanted are protocols that no test speaks.
var unwanted = []string{"net/sctp/", "net/tipc/", "net/ceph/", "net/rds/", "net/dccp/", "net/sunrpc/", "net/smc/",
	"net/openvswitch/", "net/vmw_vsock/", "net/nfc/", "net/rxrpc/", "net/batman-adv/", "net/can/", "net/bluetooth/", "net/mac80211/",
	"net/wireless/", "net/ax25/", "net/netrom/", "net/rose/", "net/atm/", "net/x25/", "net/lapb/", "net/appletalk/", "net/qrtr/", "net/ncsi/",
	"net/9p/", "net/802154/", "net/mac802154/", "net/ieee802154/", "net/6lowpan/", "net/hsr/", "net/kcm/", "net/phonet/"}

// addModules puts the modules into the archive and answers their index.
func (r Release) addModules(a *archive) (Modules, error) {
	files := map[string]string{} // name → path
	root := r.modules()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.Contains(d.Name(), ".ko") {
			files[moduleName(d.Name())] = path
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for modules: %w", err)
	}
	modules := map[string]*module{}
	var add func(name string) error
	add = func(name string) error {
		if modules[name] != nil || files[name] == "" { // absent: built in
			return nil
		}
		m, err := readModule(files[name])
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
		modules[name] = m
		for _, d := range m.depends {
			if err := add(d); err != nil {
				return err
			}
		}
		return nil
	}
	for name, path := range files {
		rel, _ := filepath.Rel(root, path)
		begins := func(p string) bool { return strings.HasPrefix(rel, p) }
		if slices.ContainsFunc(wanted, begins) && !slices.ContainsFunc(unwanted, begins) {
			if err := add(name); err != nil {
				return nil, err
			}
		}
	}
	index := Modules{}
	for name, m := range modules {
		a.file(m.file, m.code)
		order := loadOrder(modules, name, nil)
		index[name] = order
		for _, alias := range m.aliases {
			index[alias] = append(index[alias], order...)
		}
	}
	return index, nil
}

// loadOrder is the module's file behind those of what it depends on.
func loadOrder(modules map[string]*module, name string, order []string) []string {
	m := modules[name]
	if m == nil || slices.Contains(order, m.file) {
		return order
	}
	for _, d := range m.depends {
		order = loadOrder(modules, d, order)
	}
	return append(order, m.file)
}

// moduleName is as the kernel writes it: it takes - and _ for the same.
func moduleName(file string) string {
	name, _, _ := strings.Cut(file, ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// readModule reads a module's code and what its section .modinfo tells: lines of
// KEY=VALUE that end with a zero.
func readModule(path string) (*module, error) {
	code, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(path, ".xz") {
		if code, err = exec.Command("xz", "-dc", path).Output(); err != nil {
			return nil, fmt.Errorf("unpack: %w", err)
		}
	}
	f, err := elf.NewFile(bytes.NewReader(code))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("%s tells nothing of itself", path)
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	name := moduleName(filepath.Base(path))
	m := &module{file: "/lib/modules/" + name + ".ko", code: code}
	for line := range strings.SplitSeq(string(info), "\x00") {
		switch key, value, _ := strings.Cut(line, "="); key {
		case "depends":
			for d := range strings.SplitSeq(value, ",") {
				if d != "" {
					m.depends = append(m.depends, moduleName(d))
				}
			}
		case "softdep":
			// Only what comes first matters: "pre: crypto-sha256".
		case "alias":
			m.aliases = append(m.aliases, value)
		}
	}
	return m, nil
}
