package qos

import (
	"maps"
	"slices"
)

// applications are told by the ports they are known to use, and where packets are
// inspected by what the matcher finds a flow to be.
var applications = map[string][]Port{
	"bittorrent":  {"6881-6889", "udp/6969", "tcp/51413", "udp/51413"},
	"dcerpc":      {"tcp/135", "tcp/593"},
	"dhcp":        {"udp/67", "udp/68", "udp/547"},
	"dnp3":        {"20000"},
	"dns":         {"53", "853", "udp/5353"},
	"enip":        {"44818"},
	"facetime":    {"udp/3478-3497", "udp/16384-16387", "udp/16393-16402"},
	"ftp":         {"tcp/20-21", "tcp/990"},
	"git":         {"tcp/9418"},
	"http":        {"tcp/80", "tcp/8080"},
	"http2":       {},
	"https":       {"443"},
	"ike":         {"udp/500", "udp/4500"},
	"imap":        {"tcp/143", "tcp/993"},
	"ipp":         {"tcp/631"},
	"irc":         {"tcp/6660-6669", "tcp/6697"},
	"krb5":        {"88"},
	"ldap":        {"389", "tcp/636"},
	"minecraft":   {"25565", "udp/19132-19133"},
	"modbus":      {"tcp/502"},
	"mqtt":        {"tcp/1883", "tcp/8883"},
	"mysql":       {"tcp/3306"},
	"nfs":         {"111", "2049"},
	"ntp":         {"udp/123"},
	"openvpn":     {"1194"},
	"pgsql":       {"tcp/5432"},
	"playstation": {"tcp/3480", "udp/3074", "udp/3478-3479", "udp/3658"},
	"pop3":        {"tcp/110", "tcp/995"},
	"quic":        {"udp/443"},
	"rdp":         {"3389"},
	"rfb":         {"tcp/5900-5910"},
	"rsync":       {"tcp/873"},
	"rtmp":        {"tcp/1935"},
	"rtsp":        {"554", "tcp/8554"},
	"sip":         {"5060-5061"},
	"smb":         {"tcp/139", "tcp/445"},
	"smtp":        {"tcp/25", "tcp/465", "tcp/587"},
	"snmp":        {"udp/161-162"},
	"ssh":         {"tcp/22"},
	"steam":       {"27015-27030", "udp/4380", "udp/27031-27036", "tcp/27036"},
	"stun":        {"3478", "tcp/5349"},
	"syslog":      {"514", "tcp/6514"},
	"teams":       {"udp/3478-3481"},
	"telnet":      {"tcp/23"},
	"tftp":        {"udp/69"},
	"tls":         {"tcp/443", "tcp/8443"},
	"websocket":   {},
	"wireguard":   {"udp/51820"},
	"xbox":        {"3074"},
	"xmpp":        {"tcp/5222-5223", "tcp/5269"},
	"zoom":        {"tcp/8801-8802", "udp/3478-3479", "udp/8801-8810"},
}

// Applications are the names that a class may have.
func Applications() []string { return slices.Sorted(maps.Keys(applications)) }

// ApplicationPorts are the ports that an application is known by; of some only
// the matcher knows.
func ApplicationPorts(name string) ([]Port, bool) {
	ports, ok := applications[name]
	return ports, ok
}

// found has what the matcher calls an application that goes by another name here, or
// by several.
var found = map[string][]string{
	"bittorrent": {"bittorrent-dht"},
	"dns":        {"dns", "mdns", "doh2"},
	"ftp":        {"ftp", "ftp-data"},
	"http":       {"http", "http2"},
	"https":      {"tls", "quic"},
	"xmpp":       {"jabber"},
}

// FoundAs are the matcher's names of an application.
func FoundAs(name string) []string {
	if names, ok := found[name]; ok {
		return names
	}
	return []string{name}
}
