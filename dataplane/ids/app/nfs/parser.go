// Package nfs owns NFS, versions 2 and 3 (RFC 1094, RFC 1813), in Sun RPC over TCP and UDP: calls
// with their replies are transactions, and the files that are read and written. As in
// Suricata, writes of version 2 are not followed, and of version 4 only calls are told.
package nfs

import (
	"encoding/binary"

	"ngfw.sh/dataplane/ids/app/tx"
)

const (
	program    = 100003
	maxMessage = 2 << 20
	maxOpen    = 4096
)

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Kinds: []string{"file.data", "file.name"}, Keywords: []string{"nfs_procedure", "nfs_version"}}
}

// Parser parses one flow.
type Parser struct {
	tx.PlainList
	stream  bool
	pending [2]tx.Pending
	record  [2][]byte // fragments of a record so far
	calls   map[uint32]*call
	names   map[string]string
	files   map[string]*transfer
	number  uint32
}

type call struct {
	t                  *tx.Plain
	version, procedure uint32
	handle, name       string
	offset             uint64
}

type transfer struct {
	t    *tx.Plain
	file *tx.File
	next uint64
}

// New makes a parser.
func New(stream bool, limits tx.Limits) *Parser {
	return &Parser{
		PlainList: tx.PlainList{Spoken: tx.Proto("nfs"), Limits: limits.Filled()}, stream: stream,
		calls: map[uint32]*call{}, names: map[string]string{}, files: map[string]*transfer{},
	}
}

// Feed takes a datagram, or the next of a stream.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if !p.stream {
		p.message(dir, data)
		return
	}
	if p.Lost[dir] {
		return
	}
	b := p.pending[dir].Join(data)
	for len(b) >= 4 {
		head := binary.BigEndian.Uint32(b)
		n := int(head & 0x7fffffff)
		if n > maxMessage || len(p.record[dir]) > maxMessage {
			p.Lost[dir] = true
			p.pending[dir].Drop()
			return
		}
		if len(b) < 4+n {
			break
		}
		if head>>31 == 1 && len(p.record[dir]) == 0 {
			p.message(dir, b[4:4+n])
		} else if p.record[dir] = append(p.record[dir], b[4:4+n]...); head>>31 == 1 {
			p.message(dir, p.record[dir])
			p.record[dir] = nil
		}
		b = b[4+n:]
	}
	p.pending[dir].Keep(b)
}

// reader reads XDR (RFC 4506).
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad = true
		n = len(r.b)
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u32() uint32 {
	if v := r.take(4); len(v) == 4 {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (r *reader) u64() uint64 { return uint64(r.u32())<<32 | uint64(r.u32()) }

func (r *reader) opaque() []byte {
	n := int(r.u32())
	v := r.take(n)
	r.take(min(-n&3, len(r.b)))
	return v
}

func (p *Parser) message(dir tx.Direction, b []byte) {
	r := &reader{b: b}
	xid, kind := r.u32(), r.u32()
	if r.bad {
		return
	}
	if kind == 0 && dir == tx.ToServer {
		p.call(xid, r)
	} else if kind == 1 {
		p.reply(xid, r)
	}
}

func (p *Parser) call(xid uint32, r *reader) {
	rpc, prog, version, procedure := r.u32(), r.u32(), r.u32(), r.u32()
	r.u32()
	r.opaque() // credentials
	r.u32()
	r.opaque() // verifier
	if r.bad || rpc != 2 || prog != program || p.Full() {
		return
	}
	c := &call{t: p.Add(&tx.Plain{Key: "rpc"}), version: version, procedure: procedure}
	for dir := range tx.Direction(2) {
		c.t.Number(dir, "nfs_version", uint64(version))
		c.t.Number(dir, "nfs_procedure", uint64(procedure))
	}
	c.t.Field("xid", xid)
	c.t.Ended[tx.ToServer] = true
	if len(p.calls) < maxOpen {
		p.calls[xid] = c
	}
	switch {
	case version == 3 && procedure == 3: // LOOKUP
		r.opaque()
		c.name = string(r.opaque())
	case version == 3 && procedure == 8: // CREATE
		r.opaque()
		c.name = string(r.opaque())
	case version == 3 && procedure == 6: // READ
		c.handle, c.offset = string(r.opaque()), r.u64()
	case version == 3 && procedure == 7: // WRITE
		handle, offset := string(r.opaque()), r.u64()
		r.u32()
		r.u32()
		p.data(tx.ToServer, handle, offset, r.opaque())
	case version == 3 && procedure == 21: // COMMIT
		p.close(string(r.opaque()))
	case version == 2 && (procedure == 4 || procedure == 9): // LOOKUP, CREATE
		r.take(32)
		c.name = string(r.opaque())
	case version == 2 && procedure == 6:
		c.handle, c.offset = string(r.take(32)), uint64(r.u32())
	}
}

func (p *Parser) reply(xid uint32, r *reader) {
	c := p.calls[xid]
	if c == nil {
		return
	}
	delete(p.calls, xid)
	defer c.t.End()
	accepted := r.u32()
	r.u32()
	r.opaque()
	if status := r.u32(); accepted != 0 || status != 0 || r.u32() != 0 {
		return
	}
	switch {
	case c.version == 3 && c.procedure == 3:
		p.named(string(r.opaque()), c.name)
	case c.version == 3 && c.procedure == 8:
		if r.u32() == 1 {
			p.named(string(r.opaque()), c.name)
		}
	case c.version == 2 && (c.procedure == 4 || c.procedure == 9):
		p.named(string(r.take(32)), c.name)
	case c.version == 3 && c.procedure == 6:
		const attributes = 84
		if r.u32() == 1 {
			r.take(attributes)
		}
		r.u32()
		end := r.u32() == 1
		p.data(tx.ToClient, c.handle, c.offset, r.opaque())
		if end {
			p.close(c.handle)
		}
	case c.version == 2 && c.procedure == 6:
		const attributes = 68
		r.take(attributes)
		p.data(tx.ToClient, c.handle, c.offset, r.opaque())
	}
}

func (p *Parser) named(handle, name string) {
	if len(p.names) < maxOpen {
		p.names[handle] = name
	}
}

func (p *Parser) data(dir tx.Direction, handle string, offset uint64, b []byte) {
	if len(b) == 0 {
		return
	}
	key := string(rune(dir)) + handle
	f := p.files[key]
	if f == nil {
		if p.Full() || len(p.files) > maxOpen {
			return
		}
		f = &transfer{t: p.Add(&tx.Plain{Key: "nfs"}), file: tx.NewFile(p.number, p.names[handle], &p.Limits)}
		f.t.Field("filename", p.names[handle])
		p.number++
		f.t.AddFile(dir, f.file)
		f.t.Ended[dir.Other()] = true
		p.files[key] = f
	}
	switch {
	case offset > f.next:
		f.file.Close(tx.FileTruncated)
	case offset+uint64(len(b)) <= f.next:
		return
	default:
		b = b[f.next-offset:]
		offset = f.next
	}
	f.file.Write(b)
	f.next = offset + uint64(len(b))
}

func (p *Parser) close(handle string) {
	for dir := range tx.Direction(2) {
		key := string(rune(dir)) + handle
		if f := p.files[key]; f != nil {
			f.t.End()
			delete(p.files, key)
		}
	}
}
