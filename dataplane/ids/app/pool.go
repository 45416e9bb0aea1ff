package app

import (
	"ngfw.sh/dataplane/ids/app/dns"
	"ngfw.sh/dataplane/ids/app/http1"
	"ngfw.sh/dataplane/ids/app/tls"
	"ngfw.sh/dataplane/ids/rule"
)

// Pool keeps sessions that have ended, and their parsers, for the next flows: those of the
// protocols that most flows speak. It is for one goroutine; the zero Pool is empty.
type Pool struct {
	sessions []*Session
	http1    []*http1.Parser
	tls      []*tls.Parser
	dns      []*dns.Parser
}

// How many of each are kept. A parser of HTTP holds some KiB, one of DNS, of whose short flows
// there are many, less.
const (
	spareSessions = 8192
	spareHTTP1    = 1024
	spareTLS      = 1024
	spareDNS      = 4096
)

// Open begins a session.
func (p *Pool) Open(f Flow) *Session {
	var s *Session
	if n := len(p.sessions); n > 0 {
		s, p.sessions = p.sessions[n-1], p.sessions[:n-1]
	} else {
		s = &Session{}
	}
	s.open(f)
	s.pool = p
	return s
}

// Put takes a session back that nobody uses any more, nor anything of it.
func (p *Pool) Put(s *Session) {
	if len(s.past) > 0 || s.original != 0 {
		return // parsers may know each other's transactions
	}
	switch x := s.parser.(type) {
	case *http1.Parser:
		x.Forget()
		p.http1 = spare(p.http1, x, spareHTTP1)
	case *tls.Parser:
		x.Forget()
		p.tls = spare(p.tls, x, spareTLS)
	case *dns.Parser:
		x.Forget()
		p.dns = spare(p.dns, x, spareDNS)
	}
	s.parser = nil
	p.sessions = spare(p.sessions, s, spareSessions)
}

func spare[T any](list []T, x T, most int) []T {
	if len(list) < most {
		list = append(list, x)
	}
	return list
}

func take[T any](list *[]T) (x T, ok bool) {
	n := len(*list)
	if n == 0 {
		return x, false
	}
	x, *list = (*list)[n-1], (*list)[:n-1]
	return x, true
}

// parser is one of a protocol, nil if it is known but not parsed.
func (p *Pool) parser(of rule.Protocol, over Transport, limits Limits) Parser {
	switch of {
	case protoHTTP1:
		if x, ok := take(&p.http1); ok {
			x.Renew(limitsOf(of, limits))
			return x
		}
	case protoTLS:
		if x, ok := take(&p.tls); ok {
			x.Renew(limitsOf(of, limits))
			return x
		}
	case protoDNS:
		if x, ok := take(&p.dns); ok {
			x.Renew(of, over == OverTCP, limitsOf(of, limits))
			return x
		}
	}
	return New(of, over, limits)
}
