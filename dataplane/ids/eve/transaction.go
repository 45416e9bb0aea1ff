package eve

import (
	"encoding/hex"
	"encoding/json"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/app"
)

// transaction is the part of an event that a protocol's parser writes, under the
// protocol's name.
type transaction struct {
	key   string
	value any
	Files []fileInfo `json:"files,omitempty"`
}

func (t *transaction) fill(x app.Transaction, dir app.Direction, files bool) {
	t.key, t.value = x.Record()
	if files {
		for _, d := range [...]app.Direction{app.ToServer, app.ToClient} {
			for _, f := range x.Files(d) {
				t.Files = append(t.Files, infoOf(f))
			}
		}
	}
}

type fileInfo struct {
	Filename string `json:"filename,omitempty"`
	FileID   uint32 `json:"file_id,omitempty"`
	Gaps     bool   `json:"gaps"`
	State    string `json:"state"`
	MD5      string `json:"md5,omitempty"`
	SHA1     string `json:"sha1,omitempty"`
	SHA256   string `json:"sha256,omitempty"`
	Stored   bool   `json:"stored"`
	Size     uint64 `json:"size"`
	TxID     uint64 `json:"tx_id"`
}

func infoOf(f *app.File) fileInfo {
	state := "UNKNOWN"
	switch f.State {
	case app.FileClosed:
		state = "CLOSED"
	case app.FileTruncated:
		state = "TRUNCATED"
	}
	return fileInfo{
		Filename: f.Name, FileID: f.ID, State: state, Size: f.Size,
		MD5: hex.EncodeToString(f.MD5), SHA1: hex.EncodeToString(f.SHA1), SHA256: hex.EncodeToString(f.SHA256),
	}
}

// withRecord adds the protocol's part to an encoded event, whose keys are not known
// before.
func withRecord(v any, t *transaction) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil || t.key == "" || t.value == nil {
		return b, err
	}
	record, err := json.Marshal(t.value)
	if err != nil {
		return nil, err
	}
	b = append(b[:len(b)-1], ",\""...)
	b = append(append(b, t.key...), "\":"...)
	return append(append(b, record...), '}'), nil
}

type plainAlert alertEvent

// MarshalJSON adds the transaction's record.
func (e *alertEvent) MarshalJSON() ([]byte, error) {
	return withRecord((*plainAlert)(e), &e.transaction)
}

type txEvent struct {
	event
	transaction
}

type plainTx txEvent

func (e *txEvent) MarshalJSON() ([]byte, error) { return withRecord((*plainTx)(e), &e.transaction) }

// Transaction implements ids.Log.
func (w *Writer) Transaction(f *ids.Flow, t app.Transaction) {
	key, value := t.Record()
	if value == nil || !w.wants(key) {
		return
	}
	e := &txEvent{event: w.flowEvent(key, f)}
	id := t.ID()
	e.TxID = &id
	e.transaction.fill(t, app.ToServer, false)
	w.write(e)
}

type fileEvent struct {
	event
	transaction
	FileInfo fileInfo `json:"fileinfo"`
}

type plainFile fileEvent

func (e *fileEvent) MarshalJSON() ([]byte, error) { return withRecord((*plainFile)(e), &e.transaction) }

// File implements ids.Log.
func (w *Writer) File(f *ids.Flow, t app.Transaction, dir app.Direction, file *app.File) {
	if !w.wants("fileinfo") {
		return
	}
	e := &fileEvent{event: w.flowEvent("fileinfo", f), FileInfo: infoOf(file)}
	e.FileInfo.TxID = t.ID()
	e.transaction.fill(t, dir, false)
	w.write(e)
}
