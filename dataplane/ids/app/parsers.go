package app

import (
	"ngfw.sh/dataplane/ids/app/dcerpc"
	"ngfw.sh/dataplane/ids/app/dhcp"
	"ngfw.sh/dataplane/ids/app/dnp3"
	"ngfw.sh/dataplane/ids/app/dns"
	"ngfw.sh/dataplane/ids/app/enip"
	"ngfw.sh/dataplane/ids/app/ftp"
	"ngfw.sh/dataplane/ids/app/http1"
	"ngfw.sh/dataplane/ids/app/http2"
	"ngfw.sh/dataplane/ids/app/ike"
	"ngfw.sh/dataplane/ids/app/krb5"
	"ngfw.sh/dataplane/ids/app/ldap"
	"ngfw.sh/dataplane/ids/app/modbus"
	"ngfw.sh/dataplane/ids/app/mqtt"
	"ngfw.sh/dataplane/ids/app/nfs"
	"ngfw.sh/dataplane/ids/app/ntp"
	"ngfw.sh/dataplane/ids/app/pgsql"
	"ngfw.sh/dataplane/ids/app/quic"
	"ngfw.sh/dataplane/ids/app/rfb"
	"ngfw.sh/dataplane/ids/app/sip"
	"ngfw.sh/dataplane/ids/app/smb"
	"ngfw.sh/dataplane/ids/app/smtp"
	"ngfw.sh/dataplane/ids/app/snmp"
	"ngfw.sh/dataplane/ids/app/ssh"
	"ngfw.sh/dataplane/ids/app/tls"
	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/app/websocket"
	"ngfw.sh/dataplane/ids/rule"
)

// dialect is a protocol that is parsed.
type dialect struct {
	open  func(over Transport, limits Limits) Parser
	words func() tx.Vocabulary
}

var dialects = map[rule.Protocol]dialect{
	tx.Proto("http1"):     {func(_ Transport, l Limits) Parser { return http1.New(l) }, http1.Vocabulary},
	tx.Proto("dns"):       {func(o Transport, l Limits) Parser { return dns.New("dns", o == OverTCP, l) }, dns.Vocabulary},
	tx.Proto("mdns"):      {func(o Transport, l Limits) Parser { return dns.New("mdns", o == OverTCP, l) }, dns.Vocabulary},
	tx.Proto("tls"):       {func(_ Transport, l Limits) Parser { return tls.New(l) }, tls.Vocabulary},
	tx.Proto("ssh"):       {func(_ Transport, l Limits) Parser { return ssh.New(l) }, ssh.Vocabulary},
	tx.Proto("modbus"):    {func(_ Transport, l Limits) Parser { return modbus.New(l) }, modbus.Vocabulary},
	tx.Proto("pgsql"):     {func(_ Transport, l Limits) Parser { return pgsql.New(l) }, pgsql.Vocabulary},
	tx.Proto("rfb"):       {func(_ Transport, l Limits) Parser { return rfb.New(l) }, rfb.Vocabulary},
	tx.Proto("nfs"):       {func(o Transport, l Limits) Parser { return nfs.New(o == OverTCP, l) }, nfs.Vocabulary},
	tx.Proto("enip"):      {func(o Transport, l Limits) Parser { return enip.New(o == OverTCP, l) }, enip.Vocabulary},
	tx.Proto("dnp3"):      {func(_ Transport, l Limits) Parser { return dnp3.New(l) }, dnp3.Vocabulary},
	tx.Proto("ldap"):      {func(o Transport, l Limits) Parser { return ldap.New(o == OverTCP, l) }, ldap.Vocabulary},
	tx.Proto("ike"):       {func(_ Transport, l Limits) Parser { return ike.New(l) }, ike.Vocabulary},
	tx.Proto("krb5"):      {func(o Transport, l Limits) Parser { return krb5.New(o == OverTCP, l) }, krb5.Vocabulary},
	tx.Proto("snmp"):      {func(_ Transport, l Limits) Parser { return snmp.New(l) }, snmp.Vocabulary},
	tx.Proto("ntp"):       {func(_ Transport, l Limits) Parser { return ntp.New(l) }, ntp.Vocabulary},
	tx.Proto("dhcp"):      {func(_ Transport, l Limits) Parser { return dhcp.New(l) }, dhcp.Vocabulary},
	tx.Proto("quic"):      {func(_ Transport, l Limits) Parser { return quic.New(l) }, quic.Vocabulary},
	tx.Proto("http2"):     {func(_ Transport, l Limits) Parser { return http2.New(l) }, http2.Vocabulary},
	tx.Proto("doh2"):      {func(_ Transport, l Limits) Parser { return http2.New(l) }, http2.Vocabulary},
	tx.Proto("websocket"): {func(_ Transport, l Limits) Parser { return websocket.New(l) }, websocket.Vocabulary},
	tx.Proto("sip"):       {func(o Transport, l Limits) Parser { return sip.New(o == OverUDP, l) }, sip.Vocabulary},
	tx.Proto("mqtt"):      {func(_ Transport, l Limits) Parser { return mqtt.New(l) }, mqtt.Vocabulary},
	tx.Proto("smtp"):      {func(_ Transport, l Limits) Parser { return smtp.New(l) }, smtp.Vocabulary},
	tx.Proto("ftp"):       {func(_ Transport, l Limits) Parser { return ftp.New(l) }, ftp.Vocabulary},
	tx.Proto("ftp-data"):  {func(_ Transport, l Limits) Parser { return ftp.NewData(l, ftp.Expected{}) }, ftp.DataVocabulary},
	tx.Proto("smb"):       {func(_ Transport, l Limits) Parser { return smb.New(l) }, smb.Vocabulary},
	tx.Proto("dcerpc"):    {func(o Transport, l Limits) Parser { return dcerpc.New(o == OverUDP, l) }, dcerpc.Vocabulary},
}

// New makes a parser of a protocol, nil if it is known but not parsed.
func New(p rule.Protocol, over Transport, limits Limits) Parser {
	if d, ok := dialects[p]; ok {
		return d.open(over, limitsOf(p, limits))
	}
	return nil
}

// limitsOf are the limits with those of a protocol.
func limitsOf(p rule.Protocol, limits Limits) Limits {
	if len(limits.TransactionsOf) > 0 {
		if n := limits.TransactionsOf[p.String()]; n > 0 {
			limits.Transactions = n
		}
	}
	return limits
}

var kindsFilled, keywordsAnswered, framesKept = func() (kinds, keywords, frames map[string]bool) {
	kinds, keywords, frames = map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, d := range dialects {
		v := d.words()
		for _, name := range v.Kinds {
			if rule.KindOf(name) == nil {
				panic("app: the rule language has no buffer " + name)
			}
			kinds[name] = true
		}
		for _, name := range v.Keywords {
			keywords[name] = true
		}
		for _, name := range v.Frames {
			frames[name] = true
		}
	}
	return kinds, keywords, frames
}()

// Supports says whether any parser fills buffers of a kind. Kinds that are not of an
// application (of headers, payload, decoded) are not this package's.
func Supports(kind *rule.BufferKind) bool { return kindsFilled[kind.Name] }

// SupportsKeyword says whether any parser answers a keyword by Numbers or Words.
func SupportsKeyword(name string) bool { return keywordsAnswered[name] }

// SupportsFrame says whether a protocol's transactions keep frames of a name, which
// begins with the protocol.
func SupportsFrame(name string) bool { return framesKept[name] }
