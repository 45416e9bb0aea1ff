package ids

import (
	"net/netip"

	"ngfw.sh/dataplane/ids/app"
)

// announced is a flow that another has announced: an FTP transfer.
type announced struct {
	from, to netip.Addr
	port     uint16
}

type expectation struct {
	what  app.Expectation
	until int64
}

const (
	maxExpected  = 4096
	expectedTime = 30e9 // nanoseconds
)

// expect notes what a flow has announced.
func (w *Worker) expect(f *Flow) {
	for _, e := range f.app.session.TakeExpected() {
		k := announced{f.Client.Addr(), f.Server.Addr(), uint16(e.Port)}
		if e.ToClient {
			k.from, k.to = k.to, k.from
		}
		if len(w.expected) >= maxExpected {
			w.forgetExpected()
		}
		if len(w.expected) < maxExpected {
			w.expected[k] = expectation{e, w.now + expectedTime}
		}
	}
}

func (w *Worker) forgetExpected() {
	for k, e := range w.expected {
		if e.until < w.now {
			delete(w.expected, k)
		}
	}
}

// takeExpected is what was announced of a flow, or nil.
func (w *Worker) takeExpected(f *Flow) *app.Expectation {
	k := announced{f.Client.Addr(), f.Server.Addr(), f.Server.Port()}
	e, ok := w.expected[k]
	if !ok {
		return nil
	}
	delete(w.expected, k)
	if e.until < w.now {
		return nil
	}
	what := e.what // what is returned is on the heap: let it be this alone
	return &what
}
