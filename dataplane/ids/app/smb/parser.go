// Package smb owns SMB 1, 2 and 3 over TCP (MS-CIFS, MS-SMB2): shares, the files that
// are read and written, logins, and the remote calls that named pipes carry.
//
// Messages are taken whole up to a limit; of a larger one the beginning is, and the
// rest is lost to inspection. What is encrypted is not looked into.
package smb

import (
	"encoding/binary"
	"unicode/utf16"

	"ngfw.sh/dataplane/ids/app/dcerpc"
	"ngfw.sh/dataplane/ids/app/tx"
)

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{
		Frames: []string{
			"smb.nbss.hdr", "smb.nbss.pdu", "smb.nbss.data", "smb.smb1.hdr", "smb.smb1.pdu", "smb.smb1.data", "smb.smb2.hdr", "smb.smb2.pdu",
			"smb.smb2.data", "smb.smb3.hdr", "smb.smb3.pdu", "smb.smb3.data",
		},
		Kinds:    []string{"smb.named_pipe", "smb.share", "smb.ntlmssp_user", "smb.ntlmssp_domain", "dcerpc.stub_data", "file.data", "file.name"},
		Keywords: []string{"dcerpc.iface", "dcerpc.opnum", "smb.version"},
	}
}

const (
	maxMessage = 1<<20 + 4<<10
	maxOpen    = 4096 // files, trees and requests without an answer, each
)

// Parser parses one connection.
type Parser struct {
	tx.PlainList
	tx.FrameLog
	pending [2]tx.Pending
	skip    [2]int
	secret  [2]bool
	number  uint32

	trees    map[uint32]*tree
	asked    map[uint64]*request
	handles  map[string]*handle
	ifaces   dcerpc.Interfaces
	version  uint64
	tooLarge bool
}

// tree is a share that is connected.
type tree struct {
	name string
	pipe bool
}

// request waits for its answer.
type request struct {
	name   string
	handle *handle
	t      *tx.Plain
	offset uint64
	tree   *tree
}

// handle is an open file or pipe.
type handle struct {
	name  string
	pipe  *dcerpc.Pipe
	files [2]*transfer
}

// transfer is a file on its way in one direction.
type transfer struct {
	t    *tx.Plain
	file *tx.File
	next uint64
}

// New makes a parser.
func New(limits tx.Limits) *Parser {
	return &Parser{
		PlainList: tx.PlainList{Spoken: tx.Proto("smb"), Limits: limits.Filled()}, FrameLog: tx.NewFrameLog(limits),
		trees: map[uint32]*tree{}, asked: map[uint64]*request{}, handles: map[string]*handle{},
	}
}

// Done says whether both sides encrypt.
func (p *Parser) Done() tx.Done {
	if p.secret[0] && p.secret[1] {
		return tx.Encrypted
	}
	return p.PlainList.Done()
}

// Gap is harmless in the part of a message that is not looked at.
func (p *Parser) Gap(dir tx.Direction, n int) {
	if p.skip[dir] >= n {
		p.skip[dir] -= n
		return
	}
	p.PlainList.Gap(dir, n)
}

// Feed takes the next bytes.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if p.Lost[dir] {
		return
	}
	b := p.pending[dir].Join(data)
	for len(b) >= 4 || p.skip[dir] > 0 && len(b) > 0 {
		if n := min(p.skip[dir], len(b)); n > 0 {
			p.skip[dir] -= n
			b = b[n:]
			continue
		}
		size := int(b[1])<<16 | int(binary.BigEndian.Uint16(b[2:]))
		if b[0] == 0x81 || b[0] == 0x82 || b[0] == 0x83 || b[0] == 0x84 || b[0] == 0x85 {
			b, p.skip[dir] = b[4:], size
			continue
		}
		if b[0] != 0 || size < 4 && size > 0 {
			p.Lost[dir] = true
			p.pending[dir].Drop()
			return
		}
		if take := min(size, maxMessage); len(b) < 4+take {
			break
		} else {
			p.Note(dir, "nbss.hdr", b[:4])
			p.Note(dir, "nbss.pdu", b[:4+take])
			p.Note(dir, "nbss.data", b[4:4+take])
			p.message(dir, b[4:4+take], size > take)
			b = b[4+take:]
			p.skip[dir] = size - take
		}
	}
	p.pending[dir].Keep(b)
}

func (p *Parser) message(dir tx.Direction, b []byte, cut bool) {
	if len(b) < 8 {
		return
	}
	p.tooLarge = cut
	switch string(b[:4]) {
	case "\xffSMB":
		p.version = 1
		p.parts(dir, "smb1", b, 32)
		p.message1(dir, b)
	case "\xfeSMB":
		p.version = 2
		for {
			if len(b) < 64 {
				return
			}
			next := int(binary.LittleEndian.Uint32(b[20:]))
			if next < 64 || next > len(b) {
				p.parts(dir, "smb2", b, 64)
				p.message2(dir, b)
				return
			}
			p.parts(dir, "smb2", b[:next], 64)
			p.message2(dir, b[:next])
			b = b[next:]
		}
	case "\xfdSMB":
		p.secret[dir] = true
		p.parts(dir, "smb3", b, 52)
	}
}

// parts notes a message's frames.
func (p *Parser) parts(dir tx.Direction, kind string, b []byte, head int) {
	if !p.Wanted() || len(b) < head {
		return
	}
	p.Note(dir, kind+".hdr", b[:head])
	p.Note(dir, kind+".pdu", b)
	p.Note(dir, kind+".data", b[head:])
}

// open adds a transaction, or gives nil when there are too many.
func (p *Parser) open() *tx.Plain {
	if p.Full() {
		return nil
	}
	t := p.Add(&tx.Plain{Key: "smb"})
	t.Number(tx.ToServer, "smb.version", p.version)
	t.Number(tx.ToClient, "smb.version", p.version)
	return t
}

func (p *Parser) wait(id uint64, r *request) {
	if len(p.asked) < maxOpen {
		p.asked[id] = r
	}
}

func (p *Parser) answer(id uint64) *request {
	r := p.asked[id]
	delete(p.asked, id)
	return r
}

// opened remembers a handle.
func (p *Parser) opened(id string, name string, t *tree) {
	if len(p.handles) >= maxOpen {
		return
	}
	h := &handle{name: name}
	if t != nil && t.pipe {
		h.pipe = p.newPipe()
	}
	p.handles[id] = h
}

func (p *Parser) newPipe() *dcerpc.Pipe { return &dcerpc.Pipe{Interfaces: &p.ifaces, Open: p.open} }

// handle finds one; that which was opened before the capture began is made on the spot.
func (p *Parser) handle(id string, t *tree) *handle {
	h := p.handles[id]
	if h == nil {
		h = &handle{}
		if len(p.handles) < maxOpen {
			p.handles[id] = h
		}
		if t != nil && t.pipe {
			h.pipe = p.newPipe()
		}
	}
	return h
}

// data takes a piece of a file or of what a pipe carries.
func (p *Parser) data(dir tx.Direction, h *handle, offset uint64, b []byte) {
	if h == nil || len(b) == 0 {
		return
	}
	if h.pipe == nil && h.files[0] == nil && h.files[1] == nil && len(b) >= dcerpc.HeaderSize && b[0] == 5 && b[1] == 0 && b[2] <= 19 &&
		int(le.Uint16(b[8:])) == len(b) {
		// The share was connected before the capture began, but this is no file.
		h.pipe = p.newPipe()
	}
	if h.pipe != nil {
		h.pipe.Feed(dir, b)
		return
	}
	f := h.files[dir]
	if f == nil {
		t := p.open()
		if t == nil {
			return
		}
		f = &transfer{t: t, file: tx.NewFile(p.number, h.name, &p.Limits)}
		p.number++
		t.AddFile(dir, f.file)
		t.Field("filename", h.name)
		t.Ended[dir.Other()] = true
		h.files[dir] = f
	}
	switch {
	case offset == f.next:
	case offset < f.next: // written again
		if offset+uint64(len(b)) <= f.next {
			return
		}
		b = b[f.next-offset:]
	default:
		f.file.Close(tx.FileTruncated)
	}
	f.file.Write(b)
	f.next = max(f.next, offset) + uint64(len(b))
	if p.tooLarge {
		f.file.Close(tx.FileTruncated)
	}
}

// closed ends a handle's files.
func (p *Parser) closed(id string) {
	h := p.handles[id]
	if h == nil {
		return
	}
	delete(p.handles, id)
	for _, f := range h.files {
		if f != nil {
			f.file.Close(tx.FileClosed)
			f.t.End()
		}
	}
}

// connect makes the transaction of a share.
func (p *Parser) connect(share string, pipe bool) *tx.Plain {
	t := p.open()
	if t == nil {
		return nil
	}
	if pipe {
		t.Put(tx.ToServer, "smb.named_pipe", []byte(share))
	} else {
		t.Put(tx.ToServer, "smb.share", []byte(share))
	}
	t.Field("share", share)
	t.End()
	return t
}

// part cuts what lies at an offset; what is beyond the end is not there.
func part(b []byte, offset, size int) []byte {
	if offset < 0 || offset > len(b) || size < 0 {
		return nil
	}
	return b[offset:min(len(b), offset+size)]
}

func wide(b []byte) string {
	units := make([]uint16, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		u := binary.LittleEndian.Uint16(b[i:])
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}
