package detect

import (
	"bytes"

	"ngfw.sh/dataplane/ids/app"
)

// magic is what a file seems to be, in the words that libmagic has for the kinds that rules ask for.
// It is known once enough of the file is there; nil: not yet.
func magic(f *app.File) []byte {
	if f.Offset > 0 {
		return nil // the beginning is no longer kept
	}
	for i := range magics {
		m := &magics[i]
		if len(f.Data) >= m.at+len(m.bytes) && string(f.Data[m.at:m.at+len(m.bytes)]) == m.bytes {
			if m.bytes == "MZ" {
				return executable(f.Data)
			}
			return m.name
		}
	}
	if len(f.Data) < magicBytes && f.State == app.FileOpen || len(f.Data) == 0 {
		return nil
	}
	d := f.Data[:min(len(f.Data), magicBytes)]
	head := bytes.ToLower(bytes.TrimLeft(d[:min(len(d), 64)], " \t\r\n"))
	if bytes.HasPrefix(head, []byte("<!doctype html")) || bytes.HasPrefix(head, []byte("<html")) || bytes.HasPrefix(head, []byte("<head")) {
		return magicHTML
	}
	for _, c := range d {
		if c < 7 || c > 13 && c < 32 && c != 27 || c > 126 {
			return magicData
		}
	}
	if bytes.Contains(d, []byte("\r\n")) {
		return magicTextCRLF
	}
	return magicText
}

// magicBytes is how much of a file is enough to know its kind.
const magicBytes = 256

var (
	magicHTML     = []byte("HTML document, ASCII text")
	magicData     = []byte("data")
	magicText     = []byte("ASCII text")
	magicTextCRLF = []byte("ASCII text, with CRLF line terminators")
	magicDOS      = []byte("MS-DOS executable")
	magicPE       = []byte("PE32 executable (GUI) Intel 80386, for MS Windows")
	magicPEText   = []byte("PE32 executable (console) Intel 80386, for MS Windows")
	magicDLL      = []byte("PE32 executable (DLL) (GUI) Intel 80386, for MS Windows")
	magicPE64     = []byte("PE32+ executable (GUI) x86-64, for MS Windows")
	magicDLL64    = []byte("PE32+ executable (DLL) (GUI) x86-64, for MS Windows")
)

var magics = []struct {
	at    int
	bytes string
	name  []byte
}{
	{0, "%PDF-1.3", []byte("PDF document, version 1.3")}, {0, "%PDF-1.4", []byte("PDF document, version 1.4")},
	{0, "%PDF-1.5", []byte("PDF document, version 1.5")}, {0, "%PDF-1.6", []byte("PDF document, version 1.6")},
	{0, "%PDF-1.7", []byte("PDF document, version 1.7")}, {0, "%PDF-", []byte("PDF document")},
	{0, "MZ", nil},
	{0, "\x7fELF\x02", []byte("ELF 64-bit LSB executable")}, {0, "\x7fELF\x01", []byte("ELF 32-bit LSB executable")},
	{0, "\xff\xd8\xff", []byte("JPEG image data")}, {0, "\x89PNG\r\n\x1a\n", []byte("PNG image data")},
	{0, "GIF87a", []byte("GIF image data, version 87a")}, {0, "GIF89a", []byte("GIF image data, version 89a")},
	{0, "PK\x03\x04", []byte("Zip archive data, at least v2.0 to extract")}, {0, "\x1f\x8b", []byte("gzip compressed data")},
	{0, "BZh", []byte("bzip2 compressed data")}, {0, "\xfd7zXZ", []byte("XZ compressed data")}, {0, "7z\xbc\xaf\x27\x1c", []byte("7-zip archive data")},
	{0, "Rar!\x1a\x07", []byte("RAR archive data")}, {0, "MSCF", []byte("Microsoft Cabinet archive data")},
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", []byte("Composite Document File V2 Document")}, {0, "{\\rtf", []byte("Rich Text Format data")},
	{0, "FWS", []byte("Macromedia Flash data")}, {0, "CWS", []byte("Macromedia Flash data (compressed)")}, {0, "ZWS", []byte("Macromedia Flash data (compressed)")},
	{0, "\xca\xfe\xba\xbe", []byte("compiled Java class data")}, {0, "<?xml", []byte("XML 1.0 document, ASCII text")}, {0, "#!", []byte("script, ASCII text executable")},
	{0, "RIFF", []byte("RIFF (little-endian) data")}, {0, "OggS", []byte("Ogg data")}, {0, "ID3", []byte("Audio file with ID3")}, {257, "ustar", []byte("POSIX tar archive")},
}

// executable tells programs of DOS and Windows apart by their headers.
func executable(d []byte) []byte {
	if len(d) < 64 {
		return magicDOS
	}
	at := int(d[60]) | int(d[61])<<8
	if len(d) < at+96 || string(d[at:at+4]) != "PE\x00\x00" {
		return magicDOS
	}
	library := d[at+23]&0x20 != 0
	wide := d[at+24] == 0x0b && d[at+25] == 0x02
	switch {
	case wide && library:
		return magicDLL64
	case wide:
		return magicPE64
	case library:
		return magicDLL
	case d[at+92] == 3:
		return magicPEText
	}
	return magicPE
}
