package settings

import (
	"strings"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/rule"
)

// maxMQTT bounds what may be waited for of one message, whatever is configured.
const maxMQTT = 16 << 20

func (s *Settings) appLayer(rest string, e entry) (bool, error) {
	if rest == "error-policy" {
		var err error
		s.exception.appError, err = e.policy()
		return true, err
	}
	protocol, ok := strings.CutPrefix(rest, "protocols.")
	if !ok {
		return false, nil
	}
	name, key, _ := strings.Cut(protocol, ".")
	over := app.OverTCP | app.OverUDP
	switch part, rest, _ := strings.Cut(key, "."); part {
	case "tcp":
		over, key = app.OverTCP, rest
	case "udp":
		over, key = app.OverUDP, rest
	}
	if key == "enabled" || strings.HasPrefix(key, "detection-ports.") {
		p, ok := protocolOf(name)
		if !ok {
			return false, nil
		}
		if key == "enabled" {
			return true, s.enabled(p, over, e)
		}
		return true, s.ports(p, over, key, e)
	}
	switch key {
	case "ja4-fingerprints":
		if _, err := e.oneOf("yes", "no", "auto"); err != nil {
			return true, err
		}
		s.NoJA4 = s.NoJA4 || e.value == "no"
		return true, nil
	}
	return s.protocol(name, key, e)
}

// protocolOf finds a protocol by its name in suricata.yaml, where http is that of version 1.
func protocolOf(name string) (rule.Protocol, bool) {
	if name == "http" {
		name = "http1"
	}
	return rule.ParseProtocol(name)
}

// enabled switches a protocol on or off over some transports.
func (s *Settings) enabled(p rule.Protocol, over app.Transport, e entry) error {
	c := &s.Engine.Protocols
	mark := func(m *map[rule.Protocol]app.Transport, on bool) {
		switch bits := (*m)[p]; {
		case !on && bits != 0:
			(*m)[p] = bits &^ over
		case on && *m == nil:
			*m = map[rule.Protocol]app.Transport{p: over}
		case on:
			(*m)[p] = bits | over
		}
	}
	if strings.EqualFold(e.value, "detection-only") {
		mark(&c.Unparsed, true)
		return nil
	}
	on, err := e.bool()
	mark(&c.Off, !on)
	return err
}

// ports says where a protocol is looked for: dp and sp, each a list in one value or in
// items.
func (s *Settings) ports(p rule.Protocol, over app.Transport, key string, e entry) error {
	ports, err := e.ports()
	if err != nil {
		return err
	}
	c := &s.Engine.Protocols
	if c.Ports == nil {
		c.Ports = map[app.Home][]uint16{}
	}
	for _, t := range [...]app.Transport{app.OverTCP, app.OverUDP} {
		if h := (app.Home{Protocol: p, Over: t}); over&t != 0 {
			c.Ports[h] = append(c.Ports[h], ports...)
		}
	}
	return nil
}

// protocol takes the limits of a protocol.
func (s *Settings) protocol(name, key string, e entry) (bool, error) {
	l := &s.Engine.Limits
	var err error
	switch name + "." + key {
	case "http.libhtp.default-config.request-body-limit":
		l.RequestBody, err = unlimited(e)
	case "http.libhtp.default-config.response-body-limit":
		l.ResponseBody, err = unlimited(e)
	case "http.libhtp.default-config.response-body-decompress-layer-limit":
		l.DecompressLayers, err = e.int(0, 100)
	case "http.libhtp.default-config.double-decode-path":
		l.DoubleDecodePath, err = e.bool()
	case "http.libhtp.default-config.double-decode-query":
		l.DoubleDecodeQuery, err = e.bool()
	case "http.libhtp.default-config.compression-bomb-limit":
		l.DecompressedBytes, err = e.size()
	case "http.libhtp.default-config.max-tx":
		err = s.transactions(name, e)
	case "http.libhtp.default-config.meta-field-limit":
		l.HeaderBytes, err = e.int(1, 1<<20)
	case "http.libhtp.default-config.headers-limit":
		l.Headers, err = e.int(1, 1<<16)
	case "mqtt.max-msg-length":
		l.MQTTMessage, err = e.size()
		l.MQTTMessage = min(l.MQTTMessage, maxMQTT)
	case "http2.max-streams": // each is a transaction
		err = s.transactions(name, e)
	case "http2.max-table-size":
		var n uint64
		n, err = e.size()
		l.HTTP2Table = uint32(min(n, 1<<24))
	case "tls.encryption-handling":
		var v string
		v, err = e.oneOf("default", "track-only", "bypass", "full")
		s.Engine.EncryptionBypass = v == "bypass"
	case "dnp3.max-objects":
		l.DNP3Objects, err = e.int(1, 1<<20)
	case "dnp3.max-points":
		l.DNP3Points, err = e.int(1, 1<<30)
	default:
		if key == "max-tx" {
			return true, s.transactions(name, e)
		}
		return false, nil
	}
	return true, err
}

// transactions bounds those of a protocol that are open at a time.
func (s *Settings) transactions(name string, e entry) error {
	n, err := e.int(1, 1<<20)
	if p, ok := protocolOf(name); ok && err == nil {
		l := &s.Engine.Limits
		if l.TransactionsOf == nil {
			l.TransactionsOf = map[string]int{}
		}
		l.TransactionsOf[p.String()] = n
	}
	return err
}

// output takes what outputs ask of the matcher: sums of files, whether a rule wants them
// or not, and kinds of anomalies.
func (s *Settings) output(rest string, e entry) (bool, error) {
	if _, kind, ok := strings.Cut(rest, ".anomaly.types."); ok {
		if kind != "decode" && kind != "stream" && kind != "applayer" {
			return false, nil
		}
		on, err := e.bool()
		s.Anomalies[kind] = on
		return true, err
	}
	if !strings.Contains(rest, ".force-hash.") {
		return false, nil
	}
	_, err := e.oneOf("md5", "sha1", "sha256")
	s.Engine.Limits.HashFiles = true
	return true, err
}

// unlimited reads a size of which 0 means all.
func unlimited(e entry) (uint64, error) {
	n, err := e.size()
	if n == 0 {
		n = 1 << 62
	}
	return n, err
}

func (s *Settings) detect(rest string, e entry) (bool, error) {
	var err error
	switch rest {
	case "inspection-recursion-limit":
		s.Recursion, err = e.int(1, 1<<20)
	case "guess-applayer-tx":
		s.Engine.GuessTransactions, err = e.bool()
	default:
		return false, nil
	}
	return true, err
}
