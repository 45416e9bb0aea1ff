package app

import (
	"bytes"
)

// starts is a probe for texts at the beginning.
func starts(texts ...string) func([]byte) answer { return prefix(bytes.Equal, texts) }

func startsFold(texts ...string) func([]byte) answer { return prefix(bytes.EqualFold, texts) }

func prefix(equal func(a, b []byte) bool, texts []string) func([]byte) answer {
	list := make([][]byte, len(texts))
	for i, t := range texts {
		list[i] = []byte(t)
	}
	return func(b []byte) answer {
		result := no
		for _, t := range list {
			n := min(len(t), len(b))
			if !equal(b[:n], t[:n]) {
				continue
			}
			if n == len(t) {
				return yes
			}
			result = maybe
		}
		return result
	}
}

var methods = func() func([]byte) answer {
	var texts []string
	for _, m := range []string{"GET", "PUT", "POST", "HEAD", "TRACE", "OPTIONS", "CONNECT", "DELETE", "PATCH", "PROPFIND", "PROPPATCH",
		"MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "CHECKOUT", "UNCHECKOUT", "CHECKIN", "UPDATE", "LABEL", "REPORT", "MKWORKSPACE",
		"MKACTIVITY", "MERGE", "INVALID", "VERSION-CONTROL", "BASELINE-CONTROL"} {
		texts = append(texts, m+" ", m+"\t")
	}
	return startsFold(texts...)
}()

// probeMethod knows an HTTP/1 request by its method. That of SIP is the same for OPTIONS, UPDATE and a few
// more: there the line's end tells.
func probeMethod(b []byte) answer {
	a := methods(b)
	if a != yes {
		return a
	}
	line, _, whole := bytes.Cut(b, []byte("\n"))
	if bytes.Contains(line, []byte(" SIP/2.0")) {
		return no
	}
	if i := bytes.IndexAny(line, " \t"); len(line) > i+5 && (bytes.HasPrefix(line[i+1:], []byte("sip:")) || bytes.HasPrefix(line[i+1:], []byte("sips:"))) {
		if !whole && len(b) < maxProbed {
			return maybe
		}
	}
	return yes
}

func probeSMTPServer(b []byte) answer {
	if a := starts("220 ", "220-")(b); a != yes {
		return a
	}
	line, _, whole := bytes.Cut(b, []byte("\n"))
	if bytes.Contains(bytes.ToUpper(line), []byte("SMTP")) {
		return yes
	}
	if whole || len(b) > 512 {
		return no
	}
	return maybe
}

func probeFTPServer(b []byte) answer {
	if a := starts("220 ", "220-")(b); a != yes {
		return a
	}
	line, _, whole := bytes.Cut(b, []byte("\n"))
	upper := bytes.ToUpper(line)
	if bytes.Contains(upper, []byte("FTP")) && !bytes.Contains(upper, []byte("SMTP")) || starts("220 (")(b) == yes {
		return yes
	}
	if whole || len(b) > 512 {
		return no
	}
	return maybe
}

var sipStart = starts("SIP/2.0 ", "INVITE ", "ACK ", "BYE ", "CANCEL ", "REGISTER ", "OPTIONS ", "PRACK ", "SUBSCRIBE ", "NOTIFY ",
	"PUBLISH ", "INFO ", "REFER ", "MESSAGE ", "UPDATE ")

func probeSIP(b []byte) answer {
	a := sipStart(b)
	if a != yes || b[0] == 'S' && b[1] == 'I' {
		return a
	}
	line, _, whole := bytes.Cut(b, []byte("\n"))
	_, uri, _ := bytes.Cut(line, []byte(" "))
	for _, scheme := range []string{"sip:", "sips:", "tel:"} {
		if bytes.HasPrefix(uri, []byte(scheme)) {
			return yes
		}
	}
	if bytes.HasSuffix(bytes.TrimSpace(line), []byte(" SIP/2.0")) {
		return yes
	}
	if whole || len(uri) >= 5 {
		return no
	}
	return maybe
}

func probeTelnet(b []byte) answer {
	if len(b) >= 3 && b[0] == 0xff && b[1] >= 0xfa {
		return yes
	}
	return no
}
