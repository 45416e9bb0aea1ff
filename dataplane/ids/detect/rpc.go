package detect

import (
	"encoding/binary"
	"strconv"

	"ngfw.sh/dataplane/ids/rule"
)

// rpc compiles the keyword that asks for a call of Sun RPC (RFC 5531, section 9).
func (c *compiler) rpc(s *signature, x *rule.Words) error {
	var want [3]int64
	for i := range want {
		want[i] = -1
		if i < len(x.Args) && x.Args[i] != "*" {
			want[i], _ = strconv.ParseInt(x.Args[i], 0, 64)
		}
	}
	s.checks = append(s.checks, func(w *Worker) bool {
		d := w.packet.Payload
		if w.packet.Protocol == protoTCP {
			if len(d) < 4 {
				return false
			}
			d = d[4:] // the record mark
		}
		if len(d) < 24 || binary.BigEndian.Uint32(d[4:]) != 0 {
			return false // no call
		}
		for i, n := range want {
			if n >= 0 && int64(binary.BigEndian.Uint32(d[12+4*i:])) != n {
				return false
			}
		}
		return true
	})
	return nil
}
