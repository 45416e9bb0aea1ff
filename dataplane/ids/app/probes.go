package app

import (
	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

var (
	protoHTTP1     = tx.Proto("http1")
	protoHTTP2     = tx.Proto("http2")
	protoTLS       = tx.Proto("tls")
	protoFTPData   = tx.Proto("ftp-data")
	protoSMB       = tx.Proto("smb")
	protoDNS       = tx.Proto("dns")
	protoDoH2      = tx.Proto("doh2")
	protoWebSocket = tx.Proto("websocket")
)

var probes = func() []probe {
	const both = OverTCP | OverUDP
	type tests = [2]func([]byte) answer
	one := func(f func([]byte) answer) tests { return tests{f, f} }
	p := func(name string) rule.Protocol { return tx.Proto(name) }
	return []probe{
		{p("http2"), OverTCP, nil, tests{starts("PRI * HTTP/2.0\r\n"), probeHTTP2Server}},
		{p("http1"), OverTCP, nil, tests{probeMethod, startsFold("HTTP/0.9", "HTTP/1.0", "HTTP/1.1")}},
		{p("tls"), OverTCP, nil, one(probeTLS)},
		{p("ssh"), OverTCP, nil, one(starts("SSH-"))},
		{p("rfb"), OverTCP, nil, one(starts("RFB 0"))},
		{p("smb"), OverTCP, nil, one(probeSMB)},
		{p("dcerpc"), OverTCP, nil, one(probeDCERPC)},
		{p("dcerpc"), OverUDP, []uint16{135, 34964, 49152}, one(probeDCERPCUDP)},
		{p("imap"), OverTCP, nil, tests{startsFold("1 capability", "a001 capability", "1 login"), startsFold("* OK ")}},
		{p("pop3"), OverTCP, nil, tests{startsFold("CAPA\r\n"), startsFold("+OK ")}},
		{p("smtp"), OverTCP, nil, tests{startsFold("EHLO", "HELO", "QUIT"), probeSMTPServer}},
		{p("ftp"), OverTCP, nil, tests{startsFold("USER ", "PASS ", "PORT ", "FEAT", "AUTH TLS", "AUTH SSL"), probeFTPServer}},
		{p("sip"), both, nil, one(probeSIP)},
		{p("irc"), OverTCP, []uint16{6665, 6666, 6667, 6668, 6669, 7000}, tests{startsFold("NICK ", "USER "), nil}},
		{p("jabber"), OverTCP, nil, one(starts("<stream:stream", "<?xml version='1.0'?><stream:stream", "<?xml version=\"1.0\"?><stream:stream"))},
		{p("bittorrent-dht"), OverUDP, nil, one(starts("d1:ad2:id20:", "d1:rd2:id20:", "d1:eli20"))},
		{p("mqtt"), OverTCP, nil, tests{probeMQTTClient, probeMQTTServer}},
		{p("mdns"), OverUDP, []uint16{5353}, one(probeDNSUDP)},
		{p("dns"), OverUDP, nil, one(probeDNSUDP)}, // and see elsewhere
		{p("dns"), OverTCP, nil, one(probeDNSTCP)},
		{p("quic"), OverUDP, nil, one(probeQUIC)},
		{p("dhcp"), OverUDP, []uint16{67, 68}, one(probeDHCP)},
		{p("ntp"), OverUDP, []uint16{123}, one(probeNTP)},
		{p("snmp"), OverUDP, []uint16{161, 162}, one(probeSNMP)},
		{p("tftp"), OverUDP, []uint16{69}, tests{probeTFTP, nil}},
		{p("ike"), OverUDP, []uint16{500, 4500}, one(probeIKE)},
		{p("krb5"), OverUDP, []uint16{88}, one(probeKRB5)},
		{p("krb5"), OverTCP, []uint16{88}, one(probeKRB5TCP)},
		{p("ldap"), both, []uint16{389, 3268}, one(probeLDAP)},
		{p("nfs"), OverTCP, nil, one(probeRPCTCP)},
		{p("nfs"), OverUDP, []uint16{111, 2049}, one(probeRPC)},
		{p("modbus"), OverTCP, []uint16{502}, one(probeModbus)},
		{p("dnp3"), OverTCP, nil, one(probeDNP3)},
		{p("enip"), both, []uint16{44818, 2222}, one(probeENIP)},
		{p("pgsql"), OverTCP, nil, tests{probePgsql, nil}},
		{p("rdp"), OverTCP, nil, one(probeRDP)},
		{p("telnet"), OverTCP, []uint16{23}, one(probeTelnet)},
	}
}()
