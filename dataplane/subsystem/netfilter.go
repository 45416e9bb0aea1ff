package subsystem

import (
	"errors"
	"net/netip"

	"github.com/florianl/go-nfqueue/v2"
	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/netfilter"
	"ngfw.sh/policy"
)

// table loads our table with something in it. What the backstop alone lacks is told
// by its own line.
func table(r netfilter.Ruleset) error {
	return errors.Join(netfilter.Apply(r), netfilter.Remove())
}

func backstop() error   { return table(netfilter.Ruleset{}) }
func masquerade() error { return table(netfilter.Ruleset{Masquerade: []string{"lo"}}) }
func clampMSS() error   { return table(netfilter.Ruleset{MSSClamp: []string{"lo"}}) }
func handOver() error {
	return table(netfilter.Ruleset{Queues: netfilter.Queues{First: 1, Count: 2, Bypass: true}})
}

// portNAT translates a port by a map and a source by a prefix.
func portNAT() error {
	at := func(s string) netip.Addr { return netip.AddrFrom16(netip.MustParseAddr(s).As16()) }
	host, net, last := at("192.0.2.1"), at("192.0.2.16"), at("192.0.2.31")
	box := policy.NATBox{
		SourceLo: net, SourceHi: last, DestinationLo: at("0.0.0.0"), DestinationHi: at("255.255.255.255"),
		SourcePortHi: 65535, PortHi: 65535, AnyProtocol: true, Target: policy.NATTarget{To: net, Last: last, Host: at("0.0.0.15")},
	}
	shift := policy.NATTarget{Number: 1, To: host, Last: host, Ports: policy.NATShift, FromPort: 9000, ToPort: 1000, LastPort: 1001}
	return table(netfilter.Ruleset{Targets: []netfilter.Targets{{Generation: 1, Targets: []policy.NATTarget{shift}}}, Sources: []netfilter.Source{{Box: box}}})
}

// toldNAT translates a source by what conntrack's labels say.
func toldNAT() error {
	told := policy.NATTold{Target: policy.NATTarget{Masquerade: true}}
	return table(netfilter.Ruleset{Targets: []netfilter.Targets{{Generation: 1, Told: []policy.NATTold{told}}}})
}

// queue binds one that no rule sends anything to.
func queue() error {
	q, err := nfqueue.Open(&nfqueue.Config{NfQueue: 1, MaxPacketLen: 128, MaxQueueLen: 16, Copymode: nfqueue.NfQnlCopyPacket, AfFamily: unix.AF_UNSPEC})
	if err != nil {
		return err
	}
	return q.Close()
}

func connections() error {
	c, err := conntrack.Dial(nil)
	if err != nil {
		return err
	}
	_, err = c.Dump(nil)
	return errors.Join(err, c.Close())
}
