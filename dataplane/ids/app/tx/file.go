package tx

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"hash"
	"slices"
)

// File is a file that a transaction carries.
type File struct {
	ID   uint32 // in its flow
	Name string // valid as long as the transaction
	// Data is what is kept of it, from Offset on; Size is what has been seen.
	Data   []byte
	Offset uint64
	Size   uint64
	State  FileState
	// Sums are known when the file is closed and Hash was asked for.
	MD5, SHA1, SHA256 []byte

	keep   uint64
	shared bool // Data is somebody else's
	hashes [3]hash.Hash
}

// FileState is how far a file is.
type FileState uint8

const (
	FileOpen FileState = iota
	FileClosed
	FileTruncated // its end never came, or a gap or a limit cut it
)

// NewFile opens a file.
func NewFile(id uint32, name string, limits *Limits) *File {
	f := &File{}
	f.open(id, name, limits)
	return f
}

func (f *File) open(id uint32, name string, limits *Limits) {
	*f = File{ID: id, Name: name, keep: limits.FileStore}
	if limits.HashFiles {
		f.hashes = [3]hash.Hash{md5.New(), sha1.New(), sha256.New()}
	}
}

// Write takes the file's next bytes. Of a file larger than what is kept, the
// older half of what is kept goes.
func (f *File) Write(data []byte) {
	if f.State != FileOpen {
		return
	}
	f.Size += uint64(len(data))
	for _, h := range f.hashes {
		if h != nil {
			h.Write(data)
		}
	}
	if f.shared {
		f.Data, f.shared = slices.Clone(f.Data), false
	}
	if over := uint64(len(f.Data)+len(data)) > f.keep; over && len(f.Data) > 0 {
		drop := len(f.Data) / 2
		if uint64(len(data)) >= f.keep {
			drop = len(f.Data)
		}
		f.Data = f.Data[:copy(f.Data, f.Data[drop:])]
		f.Offset += uint64(drop)
	}
	f.Data = append(f.Data, data...)
}

// Share takes data, which is the end of whole: all that was given to the file, and what it
// keeps as long as that is not too much. Whole is only appended to afterwards.
func (f *File) Share(whole, data []byte) {
	if f.State != FileOpen || f.Offset > 0 || uint64(len(whole)) > f.keep || f.Size+uint64(len(data)) != uint64(len(whole)) || len(f.Data) > 0 && !f.shared {
		f.Write(data)
		return
	}
	f.Size += uint64(len(data))
	for _, h := range f.hashes {
		if h != nil {
			h.Write(data)
		}
	}
	f.Data, f.shared = whole, true
}

// Close ends the file.
func (f *File) Close(state FileState) {
	if f.State != FileOpen {
		return
	}
	f.State = state
	if f.hashes[0] != nil && state == FileClosed {
		f.MD5, f.SHA1, f.SHA256 = f.hashes[0].Sum(nil), f.hashes[1].Sum(nil), f.hashes[2].Sum(nil)
	}
	f.hashes = [3]hash.Hash{}
}
