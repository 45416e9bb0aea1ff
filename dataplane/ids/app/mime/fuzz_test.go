package mime

import "testing"

// FuzzMessage reads whatever a mail may be.
func FuzzMessage(f *testing.F) {
	f.Add("Subject: =?utf-8?q?s?=\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: a/b; name*0=f; name*1=g\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n")
	f.Add("Content-Transfer-Encoding: quoted-printable\n\nhttp://a.b/=3D=\nx\n")
	f.Add("Content-Disposition: attachment;\r\n\tfilename=\"a\\\"b\"\r\n\r\n\r\n")
	f.Fuzz(func(t *testing.T, message string) {
		got := read(message)
		size := len(got.Body)
		for _, x := range got.Files {
			size += len(x)
		}
		if size > 4*len(message)+1024 {
			t.Errorf("%d bytes have become %d", len(message), size)
		}
	})
}
