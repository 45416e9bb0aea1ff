package smb

import (
	"bytes"

	"ngfw.sh/dataplane/ids/app/tx"
)

// login finds the user in an NTLMSSP message of the third kind (MS-NLMP section 2.2.1.3).
func (p *Parser) login(b []byte) {
	i := bytes.Index(b, []byte("NTLMSSP\x00"))
	if i < 0 {
		return
	}
	b = b[i:]
	if len(b) < 64 || le.Uint32(b[8:]) != 3 {
		return
	}
	unicode := le.Uint32(b[60:])&1 != 0
	field := func(at int) string {
		v := part(b, int(le.Uint32(b[at+4:])&0xffffff), int(le.Uint16(b[at:])))
		if unicode {
			return wide(v)
		}
		return string(v)
	}
	t := p.open()
	if t == nil {
		return
	}
	domain, user := field(28), field(36)
	t.Put(tx.ToServer, "smb.ntlmssp_domain", []byte(domain))
	t.Put(tx.ToServer, "smb.ntlmssp_user", []byte(user))
	t.Field("ntlmssp", map[string]any{"domain": domain, "user": user, "host": field(44)})
	t.End()
}
