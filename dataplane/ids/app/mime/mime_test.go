package mime

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type found struct {
	Files   map[string]string
	Body    string
	Headers []Header
	Odd     []string
	open    string
}

func (f *found) Header(h Header)      { f.Headers = append(f.Headers, h) }
func (f *found) OpenFile(name string) { f.open = name; f.Files[name] += "" }
func (f *found) WriteFile(b []byte)   { f.Files[f.open] += string(b) }
func (f *found) CloseFile()           { f.open = "" }
func (f *found) Text(b []byte)        { f.Body += string(b) }
func (f *found) Event(name string)    { f.Odd = append(f.Odd, name) }

func read(message string) *found {
	f := &found{Files: map[string]string{}}
	p := New(f)
	for _, line := range strings.SplitAfter(message, "\n") {
		if line != "" {
			p.Line([]byte(line))
		}
	}
	p.Close()
	return f
}

func TestParts(t *testing.T) {
	f := read(strings.ReplaceAll(`Subject: folded
 here
Content-Type: multipart/mixed;
 boundary="o"

before
--o
Content-Type: multipart/alternative; boundary=i

--i

text =41
--i
Content-Transfer-Encoding: quoted-printable

q=3D=
d
--i--
--o
Content-Type: application/x; name="a.bin"
Content-Transfer-Encoding: base64

aGVs
bG8=
--o
Content-Type: text/plain
Content-Disposition: attachment; filename*0="b."; filename*1*=txt

line 1
line 2
--o
Content-Type: message/rfc822

Subject: inner
Content-Disposition: attachment; filename="c"

in c
--o--
`, "\n", "\r\n"))
	if diff := cmp.Diff(map[string]string{"a.bin": "hello", "b.txt": "line 1\r\nline 2", "c": "in c"}, f.Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Header{{"Subject", "folded here"}, {"Content-Type", `multipart/mixed; boundary="o"`}}, f.Headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if want := "text =41q=d"; f.Body != want {
		t.Errorf("text %q, want %q", f.Body, want)
	}
}

func TestOdd(t *testing.T) {
	f := read("Content-Type: multipart/mixed; boundary=" + strings.Repeat("b", 300) + "\r\n\r\nx")
	if diff := cmp.Diff([]string{LongBoundary}, f.Odd); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
