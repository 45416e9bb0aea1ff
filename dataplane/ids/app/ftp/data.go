package ftp

import (
	"strings"

	"ngfw.sh/dataplane/ids/app/tx"
)

// DataVocabulary is what rules can ask of a data connection.
func DataVocabulary() tx.Vocabulary {
	return tx.Vocabulary{Kinds: []string{"file.data", "file.name"}, Keywords: []string{"ftpdata_command"}}
}

// Data parses a data connection: one transaction, one file.
type Data struct {
	tx.PlainList
	t    *tx.Plain
	file *tx.File
	dir  tx.Direction
	what Expected
}

// NewData makes a parser of what was announced.
func NewData(limits tx.Limits, what Expected) *Data {
	return &Data{PlainList: tx.PlainList{Spoken: tx.Proto("ftp-data"), Limits: limits.Filled()}, what: what}
}

// Announced says what the connection carries, if the engine learns it after it
// has opened the session.
func (p *Data) Announced(what Expected) { p.what = what }

// Feed takes the next bytes.
func (p *Data) Feed(dir tx.Direction, data []byte) {
	if p.t == nil {
		p.dir = dir
		p.t = p.Add(&tx.Plain{Key: "ftp_data"})
		p.file = tx.NewFile(0, p.what.Name, &p.Limits)
		p.t.AddFile(dir, p.file)
		p.t.Field("filename", p.what.Name)
		p.t.Field("command", strings.ToUpper(p.what.Command))
		p.t.Match = func(keyword string, args []string, _ tx.Direction) (bool, bool) {
			return keyword == "ftpdata_command" && len(args) == 1 && strings.EqualFold(args[0], p.what.Command), keyword == "ftpdata_command"
		}
	}
	if dir == p.dir {
		p.file.Write(data)
	}
}

// Gap cuts the file.
func (p *Data) Gap(dir tx.Direction, _ int) {
	if p.file != nil && dir == p.dir {
		p.file.Close(tx.FileTruncated)
	}
}

// Close ends the file with its direction.
func (p *Data) Close(dir tx.Direction) {
	if p.t == nil {
		return
	}
	if dir == p.dir {
		p.file.Close(tx.FileClosed)
	}
	p.t.Ended[dir] = true
}
