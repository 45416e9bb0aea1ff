package smb

import (
	"strings"

	"ngfw.sh/dataplane/ids/app/tx"
)

// Commands of SMB 2 (MS-SMB2 section 2.2.1).
const (
	twoLogin  = 1
	twoTree   = 3
	twoCreate = 5
	twoClose  = 6
	twoRead   = 8
	twoWrite  = 9
	twoIoctl  = 11

	pipeShare = 2
)

func handleTwo(b []byte) string { return "2:" + string(b[:16]) }

// message2 takes one message of SMB 2 or 3; offsets in it count from its header.
func (p *Parser) message2(dir tx.Direction, b []byte) {
	command, id := le.Uint16(b[12:]), le.Uint64(b[24:])&^(1<<62)
	tid := le.Uint32(b[36:])
	body := b[64:]
	if le.Uint32(b[16:])&1 == 0 {
		p.asked2(command, id, p.trees[tid], b, body)
		return
	}
	const pending = 0x103
	if le.Uint32(b[8:]) == pending {
		return
	}
	p.answered2(command, id, tid, b, body)
}

func (p *Parser) asked2(command uint16, id uint64, t *tree, b, body []byte) {
	switch command {
	case twoLogin:
		if len(body) >= 16 {
			p.login(part(b, int(le.Uint16(body[12:])), int(le.Uint16(body[14:]))))
		}
	case twoTree:
		if len(body) >= 8 {
			// Whether it is a pipe is for the answer to say; until then it is a share.
			r := &request{name: wide(part(b, int(le.Uint16(body[4:])), int(le.Uint16(body[6:]))))}
			if r.t = p.open(); r.t != nil {
				r.t.Put(tx.ToServer, "smb.share", []byte(r.name))
				r.t.Field("share", r.name)
			}
			p.wait(id, r)
		}
	case twoCreate:
		if len(body) >= 48 {
			p.wait(id, &request{name: wide(part(b, int(le.Uint16(body[44:])), int(le.Uint16(body[46:])))), tree: t})
		}
	case twoRead:
		if len(body) >= 32 {
			p.wait(id, &request{offset: le.Uint64(body[8:]), handle: p.handle(handleTwo(body[16:]), t)})
		}
	case twoWrite:
		if len(body) >= 32 {
			p.data(tx.ToServer, p.handle(handleTwo(body[16:]), t), le.Uint64(body[8:]), part(b, int(le.Uint16(body[2:])), int(le.Uint32(body[4:])&0x7fffffff)))
		}
	case twoIoctl:
		const transceive = 0x0011c017
		if len(body) >= 44 && le.Uint32(body[4:]) == transceive {
			h := p.handle(handleTwo(body[8:]), &tree{pipe: true})
			if h.pipe == nil {
				h.pipe = p.newPipe()
			}
			p.data(tx.ToServer, h, 0, part(b, int(le.Uint32(body[24:])&0xffffff), int(le.Uint32(body[28:])&0xffffff)))
			p.wait(id, &request{handle: h})
		}
	case twoClose:
		if len(body) >= 24 {
			p.closed(handleTwo(body[8:]))
		}
	}
}

func (p *Parser) answered2(command uint16, id uint64, tid uint32, b, body []byte) {
	if command != twoTree && command != twoCreate && command != twoRead && command != twoIoctl {
		return
	}
	r := p.answer(id)
	if r == nil || len(body) < 8 {
		return
	}
	failed := le.Uint32(b[8:])&0xc0000000 == 0xc0000000
	switch command {
	case twoTree:
		t := &tree{name: r.name, pipe: body[2] == pipeShare && !failed || failed && strings.HasSuffix(r.name, `\IPC$`)}
		if r.t != nil {
			if t.pipe {
				r.t.Rename(tx.ToServer, "smb.share", "smb.named_pipe")
			}
			r.t.End()
		}
		if !failed && len(p.trees) < maxOpen {
			p.trees[tid] = t
		}
	case twoCreate:
		if len(body) >= 80 && !failed {
			p.opened(handleTwo(body[64:]), r.name, r.tree)
		}
	case twoRead:
		p.data(tx.ToClient, r.handle, r.offset, part(b, int(body[2]), int(le.Uint32(body[4:])&0x7fffffff)))
	case twoIoctl:
		if len(body) >= 40 {
			p.data(tx.ToClient, r.handle, 0, part(b, int(le.Uint32(body[32:])&0xffffff), int(le.Uint32(body[36:])&0xffffff)))
		}
	}
}
