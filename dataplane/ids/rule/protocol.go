package rule

import "math/bits"

// Protocol is what a rule's header names: a network or transport protocol, or
// an application protocol.
type Protocol uint8

// The protocols that are not of the application layer, and those applications
// that stand for others.
const (
	IP Protocol = iota
	TCP
	TCPPacket // single packets of TCP
	TCPStream // reassembled data of TCP
	UDP
	ICMP // of both versions
	ICMPv4
	ICMPv6
	IPv4
	IPv6
	SCTP
	PacketHeader // what the decoder says of a packet, whether IP or not
	ARP
	Ethernet
	firstApp
)

// Transport is a set of transport protocols.
type Transport uint8

const (
	OverTCP Transport = 1 << iota
	OverUDP
)

// AppSet is a set of application protocols.
type AppSet uint64

// app is an application protocol. Order is that of the bits of AppSet.
type app struct {
	name string
	over Transport
}

var lowNames = [...]string{"ip", "tcp", "tcp-pkt", "tcp-stream", "udp", "icmp", "icmpv4", "icmpv6", "ipv4", "ipv6", "sctp", "pkthdr", "arp", "ether"}

var lowAliases = map[string]Protocol{"any": IP, "ip4": IPv4, "ip6": IPv6, "icmp4": ICMPv4, "icmp6": ICMPv6}

var apps = [...]app{
	{"http", OverTCP}, // http1 and http2
	{"http1", OverTCP},
	{"http2", OverTCP},
	{"ftp", OverTCP},
	{"ftp-data", OverTCP},
	{"smtp", OverTCP},
	{"tls", OverTCP},
	{"ssh", OverTCP},
	{"imap", OverTCP},
	{"pop3", OverTCP},
	{"jabber", OverTCP},
	{"irc", OverTCP},
	{"smb", OverTCP},
	{"dcerpc", OverTCP | OverUDP},
	{"dns", OverTCP | OverUDP},
	{"mdns", OverUDP},
	{"modbus", OverTCP},
	{"enip", OverTCP | OverUDP},
	{"dnp3", OverTCP},
	{"nfs", OverTCP | OverUDP},
	{"ntp", OverUDP},
	{"tftp", OverUDP},
	{"ike", OverUDP},
	{"krb5", OverTCP | OverUDP},
	{"quic", OverUDP},
	{"dhcp", OverUDP},
	{"snmp", OverUDP},
	{"sip", OverTCP | OverUDP},
	{"rfb", OverTCP},
	{"mqtt", OverTCP},
	{"pgsql", OverTCP},
	{"telnet", OverTCP},
	{"websocket", OverTCP},
	{"ldap", OverTCP | OverUDP},
	{"doh2", OverTCP},
	{"rdp", OverTCP},
	{"bittorrent-dht", OverUDP},
}

var appAliases = map[string]string{"ssl": "tls", "ikev1": "ike", "ikev2": "ike", "http_any": "http"}

var protocols = func() map[string]Protocol {
	m := map[string]Protocol{}
	for i, name := range lowNames {
		m[name] = Protocol(i)
	}
	for name, p := range lowAliases {
		m[name] = p
	}
	for i, a := range apps {
		m[a.name] = firstApp + Protocol(i)
	}
	for alias, name := range appAliases {
		m[alias] = m[name]
	}
	return m
}()

// ParseProtocol finds a protocol by its name or an alias of it, in lower case.
func ParseProtocol(name string) (Protocol, bool) {
	p, ok := protocols[name]
	return p, ok
}

func (p Protocol) String() string {
	if p < firstApp {
		return lowNames[p]
	}
	return apps[p-firstApp].name
}

// IsApp says whether it is an application protocol, found by what is said and
// not by port.
func (p Protocol) IsApp() bool { return p >= firstApp }

// Transports are what an application protocol is spoken over.
func (p Protocol) Transports() Transport {
	switch {
	case p.IsApp():
		return apps[p-firstApp].over
	case p == TCP || p == TCPPacket || p == TCPStream:
		return OverTCP
	case p == UDP:
		return OverUDP
	case p == IP || p == IPv4 || p == IPv6:
		return OverTCP | OverUDP
	}
	return 0
}

// Apps are the protocols that a header's protocol comprises: of http its
// versions and DNS within it. It is 0 where the header names none.
func (p Protocol) Apps() AppSet {
	if !p.IsApp() {
		return 0
	}
	if p == protocols["http"] {
		return appSet("http1", "http2", "doh2")
	}
	if p == protocols["dns"] || p == protocols["http2"] {
		return appSet(p.String(), "doh2")
	}
	return 1 << (p - firstApp)
}

func appSet(names ...string) AppSet {
	var s AppSet
	for _, name := range names {
		p := protocols[name]
		if !p.IsApp() {
			panic("rule: no application protocol " + name)
		}
		s |= 1 << (p - firstApp)
	}
	return s
}

// Has says whether the application protocol p is in the set.
func (s AppSet) Has(p Protocol) bool { return p.IsApp() && s&(1<<(p-firstApp)) != 0 }

// Protocols lists the members.
func (s AppSet) Protocols() []Protocol {
	var all []Protocol
	for ; s != 0; s &= s - 1 {
		all = append(all, firstApp+Protocol(bits.TrailingZeros64(uint64(s))))
	}
	return all
}

func (s AppSet) String() string {
	var b []byte
	for _, p := range s.Protocols() {
		if len(b) > 0 {
			b = append(b, '/')
		}
		b = append(b, p.String()...)
	}
	return string(b)
}
