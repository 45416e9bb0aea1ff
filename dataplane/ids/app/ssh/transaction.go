package ssh

import (
	"maps"
	"slices"

	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

// Transaction is a connection.
type Transaction struct {
	tx.Common
	halves [2]half
}

type half struct {
	seen            bool
	proto, software []byte
	lists, hash     []byte
}

var kinds = map[string]bool{
	"ssh.proto": true, "ssh.software": true, "ssh.hassh": true, "ssh.hassh.string": true, "ssh.hassh.server": true,
	"ssh.hassh.server.string": true,
}

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Frames: []string{"ssh.record_hdr", "ssh.record_pdu", "ssh.record_data"}, Kinds: slices.Sorted(maps.Keys(kinds)), Keywords: []string{"ssh.protoversion"}}
}

// Settled says whether a kind's buffers will not change.
func (t *Transaction) Settled(kind *rule.BufferKind, dir tx.Direction) bool {
	h := &t.halves[dir]
	if kind.Name == "ssh.proto" || kind.Name == "ssh.software" {
		return h.seen || t.Ended[dir]
	}
	return h.hash != nil || t.Ended[dir]
}

// Buffers appends the buffers of a kind.
func (t *Transaction) Buffers(kind *rule.BufferKind, dir tx.Direction, to []tx.Buffer) []tx.Buffer {
	h := &t.halves[dir]
	var b []byte
	switch kind.Name {
	case "ssh.proto":
		b = h.proto
	case "ssh.software":
		b = h.software
	case "ssh.hassh", "ssh.hassh.string":
		if dir == tx.ToServer {
			b = h.lists
			if kind.Name == "ssh.hassh" {
				b = h.hash
			}
		}
	case "ssh.hassh.server", "ssh.hassh.server.string":
		if dir == tx.ToClient {
			b = h.lists
			if kind.Name == "ssh.hassh.server" {
				b = h.hash
			}
		}
	}
	if len(b) == 0 {
		return to
	}
	return append(to, tx.Buffer{Data: b, Whole: true})
}

// Words answers ssh.protoversion.
func (t *Transaction) Words(keyword string, args []string, dir tx.Direction) (match, known bool) {
	if keyword != "ssh.protoversion" || len(args) != 1 {
		return false, false
	}
	v := string(t.halves[dir].proto)
	if args[0] == "2_compat" {
		return v == "2" || v == "2.0" || v == "1.99", true
	}
	return v == args[0], true
}

type record struct {
	Client *end `json:"client,omitempty"`
	Server *end `json:"server,omitempty"`
}

type end struct {
	Proto    string `json:"proto_version,omitempty"`
	Software string `json:"software_version,omitempty"`
	Hassh    *hassh `json:"hassh,omitempty"`
}

type hassh struct {
	Hash string `json:"hash"`
	Text string `json:"string"`
}

// Record is what the event log says of it.
func (t *Transaction) Record() (string, any) {
	of := func(h *half) *end {
		if !h.seen {
			return nil
		}
		s := &end{Proto: string(h.proto), Software: string(h.software)}
		if h.hash != nil {
			s.Hassh = &hassh{string(h.hash), string(h.lists)}
		}
		return s
	}
	return "ssh", record{of(&t.halves[0]), of(&t.halves[1])}
}
