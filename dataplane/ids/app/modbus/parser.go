// Package modbus owns Modbus over TCP: a request with its response is a transaction.
package modbus

import (
	"encoding/binary"
	"strconv"
	"strings"

	"ngfw.sh/dataplane/ids/app/tx"
)

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary { return tx.Vocabulary{Keywords: []string{"modbus"}} }

// Parser parses one connection.
type Parser struct {
	tx.PlainList
	pending [2]tx.Pending
	open    map[uint16]*tx.Plain
}

// request is what rules ask about.
type request struct {
	unit, function, subfunction int
	access                      string // read, write
	table                       string // coils, discretes, input, holding
	address, count              int
	values                      []int
}

// New makes a parser.
func New(limits tx.Limits) *Parser {
	return &Parser{PlainList: tx.PlainList{Spoken: tx.Proto("modbus"), Limits: limits.Filled()}, open: map[uint16]*tx.Plain{}}
}

// Feed takes the next bytes.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if p.Lost[dir] {
		return
	}
	b := p.pending[dir].Join(data)
	for len(b) >= 8 {
		size := 6 + int(binary.BigEndian.Uint16(b[4:]))
		if b[2] != 0 || b[3] != 0 || size < 8 || size > 300 {
			t := p.Message("modbus")
			t.Side(dir)
			t.Event("invalid_protocol_id")
			p.Lost[dir] = true
			p.pending[dir].Drop()
			return
		}
		if len(b) < size {
			break
		}
		p.message(dir, b[:size])
		b = b[size:]
	}
	p.pending[dir].Keep(b)
}

func (p *Parser) message(dir tx.Direction, b []byte) {
	id := binary.BigEndian.Uint16(b)
	if dir == tx.ToClient {
		t := p.open[id]
		if t == nil {
			t = p.Message("modbus")
			t.Event("unsolicited_response")
			return
		}
		delete(p.open, id)
		t.End()
		return
	}
	if p.Full() || len(p.open) > p.Limits.Transactions {
		return
	}
	t := p.Add(&tx.Plain{Key: "modbus"})
	t.Ended[tx.ToServer] = true
	p.open[id] = t
	r := parse(b[6:])
	t.Field("unit_id", r.unit)
	t.Field("function_code", r.function)
	t.Match = func(keyword string, args []string, of tx.Direction) (bool, bool) {
		return keyword == "modbus" && of == tx.ToServer && r.match(args), keyword == "modbus"
	}
}

func parse(b []byte) *request {
	r := &request{unit: int(b[0]), function: int(b[1]), subfunction: -1}
	v := func(i int) int {
		if len(b) >= 2+i+2 {
			return int(binary.BigEndian.Uint16(b[2+i:]))
		}
		return 0
	}
	r.address, r.count = v(0), v(2)
	switch r.function {
	case 1:
		r.access, r.table = "read", "coils"
	case 2:
		r.access, r.table = "read", "discretes"
	case 3:
		r.access, r.table = "read", "holding"
	case 4:
		r.access, r.table = "read", "input"
	case 5:
		r.access, r.table, r.count, r.values = "write", "coils", 1, []int{min(v(2), 1)}
	case 6:
		r.access, r.table, r.count, r.values = "write", "holding", 1, []int{v(2)}
	case 8:
		r.subfunction = v(0)
	case 15:
		r.access, r.table = "write", "coils"
		for i := 0; i < r.count && len(b) > 7+i/8; i++ {
			r.values = append(r.values, int(b[7+i/8]>>(i&7)&1))
		}
	case 16:
		r.access, r.table = "write", "holding"
		for i := 0; i < r.count && len(b) >= 9+2*i; i++ {
			r.values = append(r.values, v(5+2*i))
		}
	}
	return r
}

// match answers the keyword: unit, function and subfunction, or access to a table, an
// address and a value (manual, section "Modbus Keyword").
func (r *request) match(args []string) bool {
	value := ""
	for _, arg := range args {
		name, rest, _ := strings.Cut(arg, " ")
		rest = strings.TrimSpace(rest)
		switch strings.ToLower(name) {
		case "unit":
			if !inRange(rest, r.unit) {
				return false
			}
		case "function":
			name, not := strings.CutPrefix(rest, "!")
			n, err := strconv.Atoi(name)
			if (err == nil && n == r.function) == not {
				return false
			}
		case "subfunction":
			if n, err := strconv.Atoi(rest); err != nil || n != r.subfunction {
				return false
			}
		case "access":
			kind, table, _ := strings.Cut(rest, " ")
			if kind != r.access || table != "" && strings.TrimSpace(table) != r.table {
				return false
			}
		case "address":
			hit := false
			for i := range max(r.count, 1) {
				if inRange(rest, r.address+i) {
					hit = true
					break
				}
			}
			if !hit {
				return false
			}
		case "value":
			value = rest
		}
	}
	if value == "" {
		return true
	}
	for _, v := range r.values {
		if inRange(value, v) {
			return true
		}
	}
	return false
}

// inRange reads "5", "<5", ">5" and "1<>5".
func inRange(s string, v int) bool {
	if low, high, ok := strings.Cut(s, "<>"); ok {
		from, err1 := strconv.Atoi(strings.TrimSpace(low))
		to, err2 := strconv.Atoi(strings.TrimSpace(high))
		return err1 == nil && err2 == nil && v > from && v < to
	}
	digits := strings.TrimLeft(s, "<> ")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return false
	}
	switch {
	case strings.HasPrefix(s, "<"):
		return v < n
	case strings.HasPrefix(s, ">"):
		return v > n
	}
	return v == n
}
