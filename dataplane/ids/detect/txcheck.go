package detect

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/rule"
)

// decided makes an answer of a comparison with what is known so far.
func decided(match bool, tx app.Transaction, dir app.Direction) answer {
	switch {
	case match:
		return yes
	case tx.Complete(dir):
		return never
	}
	return notYet
}

// txNumber compares a number of a transaction.
func (c *compiler) txNumber(x *rule.Integer) func(*Worker, app.Transaction, app.Direction) answer {
	if x.Name == "filesize" {
		return func(w *Worker, tx app.Transaction, dir app.Direction) answer {
			f := w.theFile(tx, dir)
			switch {
			case f == nil:
				return decided(false, tx, dir)
			case f.State == app.FileClosed && x.Match(f.Size):
				return yes
			// What is there already is enough, however much follows.
			case f.State != app.FileClosed && (x.Op == rule.Greater || x.Op == rule.GreaterEqual) && x.Match(f.Size):
				return yes
			case f.State != app.FileOpen:
				return never
			}
			return decided(false, tx, dir)
		}
	}
	// What says something of absence, or of all, is known at the end alone.
	atEnd := x.Index.Kind != rule.AnyOf && x.Index.Kind != rule.At || x.Index.At < 0
	return func(w *Worker, tx app.Transaction, dir app.Direction) answer {
		if atEnd && !tx.Complete(dir) {
			return notYet
		}
		w.numbers = tx.Numbers(x.Name, dir, w.numbers[:0])
		return decided(indexMatch(x, w.numbers), tx, dir)
	}
}

// appEvent asks for an event of a parser.
func (c *compiler) appEvent(s *signature, x *rule.Event) error {
	if isFlowEvent(x.Name) {
		return c.flowEvent(s, x)
	}
	_, name, _ := strings.Cut(x.Name, ".")
	s.perTx = true
	s.tests = append(s.tests, txTest{toServer: true, toClient: true, check: func(_ *Worker, tx app.Transaction, dir app.Direction) answer {
		for _, e := range tx.Events() {
			if e == name {
				return yes
			}
		}
		if tx.Complete(app.ToServer) && tx.Complete(app.ToClient) {
			return never
		}
		return notYet
	}})
	return nil
}

// flowEvent compiles the events of protocol detection itself (manual, "app-layer-event").
func (c *compiler) flowEvent(s *signature, x *rule.Event) error {
	var f check
	switch x.Name {
	case "applayer_mismatch_protocol_both_directions":
		f = func(w *Worker) bool {
			a, b := w.flow.ProtocolOf[0], w.flow.ProtocolOf[1]
			return a != 0 && b != 0 && a != b
		}
	case "applayer_wrong_direction_first_data":
		f = func(w *Worker) bool { return w.flow.WrongDirection }
	case "applayer_detect_protocol_only_one_direction":
		f = func(w *Worker) bool {
			a, b := w.flow.ProtocolOf[0], w.flow.ProtocolOf[1]
			return a != 0 && b == 0 && w.flow.Failed[1] || b != 0 && a == 0 && w.flow.Failed[0]
		}
	case "applayer_proto_detection_skipped":
		f = func(w *Worker) bool {
			return w.flow.Failed[0] && w.flow.Failed[1] && w.flow.Bytes[0]+w.flow.Bytes[1] == 0
		}
	case "applayer_no_tls_after_starttls":
		f = func(w *Worker) bool { return w.flow.NoTLSAfterStart }
	case "applayer_unexpected_protocol":
		f = func(w *Worker) bool { return w.flow.Unexpected }
	default:
		return notSupported("event " + x.Name)
	}
	s.onceFlow = true
	s.checks = append(s.checks, func(w *Worker) bool { return w.flow != nil && f(w) })
	return nil
}

// needsFile lets a rule that keeps files match only where there is one.
func (c *compiler) needsFile(s *signature) {
	for i := range s.tests {
		if s.tests[i].file {
			return
		}
	}
	s.tests = append(s.tests, txTest{toServer: true, toClient: true, file: true, check: func(w *Worker, tx app.Transaction, dir app.Direction) answer {
		return decided(w.theFile(tx, dir) != nil, tx, dir)
	}})
}

// fileHash looks digests of files up in a list.
func (c *compiler) fileHash(s *signature, x *rule.FileHash) error {
	if c.cfg.Open == nil {
		return notSupported("file " + x.List)
	}
	text, err := c.cfg.Open(s.rule, x.List)
	if err != nil {
		return err
	}
	size := map[string]int{"md5": 16, "sha1": 20, "sha256": 32}[x.Algorithm]
	list := map[string]bool{}
	for n, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		sum, err := hex.DecodeString(f[0])
		if err != nil || len(sum) != size {
			return fmt.Errorf("%s:%d: %q is no %s", x.List, n+1, f[0], x.Algorithm)
		}
		list[string(sum)] = true
	}
	c.set.hashes = true
	s.tests = append(s.tests, txTest{toServer: true, toClient: true, file: true, check: func(w *Worker, tx app.Transaction, dir app.Direction) answer {
		f := w.theFile(tx, dir)
		if f == nil {
			return decided(false, tx, dir)
		}
		sum := f.MD5
		switch x.Algorithm {
		case "sha1":
			sum = f.SHA1
		case "sha256":
			sum = f.SHA256
		}
		switch {
		case len(sum) > 0 && list[string(sum)] != x.Negated:
			return yes
		case f.State != app.FileOpen:
			return never
		}
		return decided(false, tx, dir)
	}})
	return nil
}

// certificateTime compares a date of a certificate, which the parser gives as seconds
// since 1970.
func certificateTime(x *rule.CertificateTime) func(*Worker, app.Transaction, app.Direction) answer {
	return func(w *Worker, tx app.Transaction, dir app.Direction) answer {
		w.numbers = tx.Numbers(x.Name, dir, w.numbers[:0])
		match := false
		for _, n := range w.numbers {
			t := int64(n)
			switch x.Op {
			case rule.Equal:
				match = t == x.From
			case rule.Less:
				match = t < x.From
			case rule.Greater:
				match = t > x.From
			case rule.Inside:
				match = t > x.From && t < x.To
			}
			if match {
				break
			}
		}
		return decided(match, tx, dir)
	}
}

// wordMatcher is a transaction whose protocol has keywords that are more than buffers and numbers.
type wordMatcher interface {
	Words(keyword string, args []string, dir app.Direction) (match, known bool)
}

// isPacketWord are the keywords of words that are asked of packets.
var isPacketWord = map[string]bool{"sameip": true, "l3_proto": true, "asn1": true, "rpc": true, "flow.elephant": true}

// words compiles a keyword whose value is words.
func (c *compiler) words(s *signature, x *rule.Words) error {
	test := func(f func(w *Worker, tx app.Transaction, dir app.Direction) answer) {
		s.tests = append(s.tests, txTest{check: f, toServer: true, toClient: true})
	}
	switch x.Name {
	case "sameip":
		s.checks = append(s.checks, func(w *Worker) bool { return w.packet.Version != 0 && w.packet.Src == w.packet.Dst })
	case "l3_proto":
		want := uint8(4)
		if strings.HasSuffix(x.Args[0], "6") {
			want = 6
		}
		s.checks = append(s.checks, func(w *Worker) bool { return w.packet.Version == want })
	case "rpc":
		return c.rpc(s, x)
	case "asn1":
		return c.asn1(s, x)
	case "flow.elephant":
		s.checks = append(s.checks, elephant(x.Args[0]))
	case "tls_cert_expired", "tls_cert_valid":
		valid := x.Name == "tls_cert_valid"
		test(func(w *Worker, tx app.Transaction, dir app.Direction) answer {
			if dir != app.ToClient {
				return never
			}
			now := w.packet.Time / 1e9
			w.numbers = tx.Numbers("tls_cert_notbefore", dir, w.numbers[:0])
			if len(w.numbers) == 0 {
				return decided(false, tx, dir)
			}
			before := int64(w.numbers[0])
			w.numbers = tx.Numbers("tls_cert_notafter", dir, w.numbers[:0])
			if len(w.numbers) == 0 {
				return decided(false, tx, dir)
			}
			after := int64(w.numbers[0])
			if valid {
				return decided(now >= before && now <= after, tx, dir)
			}
			return decided(now > after, tx, dir)
		})
	case "tls.version":
		want, ok := map[string]uint64{"1.0": 0x301, "1.1": 0x302, "1.2": 0x303, "1.3": 0x304}[x.Args[0]]
		if !ok {
			want, _ = strconv.ParseUint(x.Args[0], 0, 16)
		}
		test(func(w *Worker, tx app.Transaction, dir app.Direction) answer {
			w.numbers = tx.Numbers("tls.version", dir, w.numbers[:0])
			for _, v := range w.numbers {
				if v == want {
					return yes
				}
			}
			return decided(false, tx, dir)
		})
	case "ssl_version":
		c.sslVersion(x, test)
	default:
		args := x.Args
		test(func(w *Worker, tx app.Transaction, dir app.Direction) answer {
			m, ok := tx.(wordMatcher)
			if !ok {
				return never
			}
			match, known := m.Words(x.Name, args, dir)
			if !known {
				return never
			}
			return decided(match, tx, dir)
		})
	}
	return nil
}

// sslVersion compares the version of the records with a list, members of which may be
// negated.
func (c *compiler) sslVersion(x *rule.Words, test func(func(*Worker, app.Transaction, app.Direction) answer)) {
	type one struct {
		version uint64
		not     bool
	}
	var list []one
	for _, a := range x.Args {
		name, not := strings.CutPrefix(a, "!")
		v := map[string]uint64{"sslv2": 0x200, "sslv3": 0x300, "tls1.0": 0x301, "tls1.1": 0x302, "tls1.2": 0x303, "tls1.3": 0x304}[name]
		list = append(list, one{v, not})
	}
	test(func(w *Worker, tx app.Transaction, dir app.Direction) answer {
		w.numbers = tx.Numbers("ssl_version", dir, w.numbers[:0])
		if len(w.numbers) == 0 {
			w.numbers = tx.Numbers("tls.version", dir, w.numbers[:0])
		}
		for _, v := range w.numbers {
			for _, o := range list {
				if v == 0x002 {
					v = 0x200
				}
				if (o.version == v) != o.not {
					return yes
				}
			}
		}
		return decided(false, tx, dir)
	})
}

// elephant is flow.elephant, asked of each packet of a flow.
func elephant(of string) check {
	return func(w *Worker) bool {
		if w.flow == nil {
			return false
		}
		server, client := w.flow.Elephant[app.ToServer], w.flow.Elephant[app.ToClient]
		switch of {
		case "toserver":
			return server
		case "toclient":
			return client
		case "both":
			return server && client
		}
		return server || client
	}
}
