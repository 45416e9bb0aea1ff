package settings

import "strings"

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
	switch key {
	case "ja4-fingerprints":
		if _, err := e.oneOf("yes", "no", "auto"); err != nil {
			return true, err
		}
		s.NoJA4 = s.NoJA4 || e.value == "no"
		return true, nil
	case "enabled":
		if strings.EqualFold(e.value, "detection-only") {
			return true, nil
		}
		on, err := e.bool()
		s.Disabled[name] = !on
		return true, err
	case "detection-ports.dp", "detection-ports.sp", "tcp.detection-ports.dp", "udp.detection-ports.dp":
		ports, err := e.ports()
		s.Ports[name] = append(s.Ports[name], ports...)
		return true, err
	}
	if strings.Contains(key, "detection-ports.") {
		// A list of ports, one an item.
		ports, err := e.ports()
		s.Ports[name] = append(s.Ports[name], ports...)
		return true, err
	}
	return s.protocol(name, key, e)
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
		l.Transactions, err = e.int(1, 1<<20)
	case "tls.encryption-handling":
		var v string
		v, err = e.oneOf("default", "track-only", "bypass", "full")
		s.Engine.EncryptionBypass = v == "bypass"
	case "dnp3.max-objects":
		l.DNP3Objects, err = e.int(1, 1<<20)
	case "dnp3.max-points":
		l.DNP3Points, err = e.int(1, 1<<30)
	default:
		switch key {
		case "max-tx":
			n, err := e.int(1, 1<<20)
			if err == nil {
				if l.TransactionsOf == nil {
					l.TransactionsOf = map[string]int{}
				}
				l.TransactionsOf[name] = n
			}
			return true, err
		case "max-msg-length", "max-objects", "max-points", "max-streams", "max-table-size":
			n, err := e.size()
			s.Values[name+"."+key] = n
			return true, err
		}
		return false, nil
	}
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
