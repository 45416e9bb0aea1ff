package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// A segment starts with segmentMagic, the format version and a CRC of both; a
// later version keeps this prefix, so that its file can be refused by name.
//
// A record follows the other, little endian:
//
//	0  magic      4
//	4  epoch     16  the ULID's bytes
//	20 number     8
//	28 written    8  Unix nanoseconds
//	36 rows       4
//	40 length     4  of the payload: a FlowBatch, zstd
//	44 payload    4  CRC-32C
//	48 header     4  CRC-32C of bytes 0 to 47
//
// Records describe themselves, so that a damaged one hides only itself.
const (
	segmentMagic   = "NGFWSPL\n"
	segmentVersion = 1
	segmentHeader  = 16
	recordMagic    = "\xf5BT\x01"
	recordHeader   = 52
	maxPayload     = 8 << 20 // of a batch before compression, and of a record
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamaged = errors.New("damaged record")

// record is a closed batch, encoded.
type record struct {
	epoch   string
	number  uint64
	written time.Time
	rows    uint32
	data    []byte // header and payload
}

func (r record) payload() []byte { return r.data[recordHeader:] }

// versionHeader makes the first bytes of a file.
func versionHeader(magic string, version uint32) []byte {
	b := append(make([]byte, 0, segmentHeader), magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// checkVersion reads them: false for bytes that are none, an error for a
// version that this program does not know.
func checkVersion(b []byte, magic string, version uint32) (bool, error) {
	if len(b) < segmentHeader || string(b[:8]) != magic ||
		binary.LittleEndian.Uint32(b[12:]) != crc32.Checksum(b[:12], castagnoli) {
		return false, nil
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return false, fmt.Errorf("has format version %d, this agent knows %d: run the agent that wrote it, or move the file away to give its batches up", v, version)
	}
	return true, nil
}

// parseHeader reads the header of a record; data is what follows it.
func parseHeader(b []byte) (r record, length int, sum uint32, err error) {
	if len(b) < recordHeader || string(b[:4]) != recordMagic ||
		binary.LittleEndian.Uint32(b[48:]) != crc32.Checksum(b[:48], castagnoli) {
		return record{}, 0, 0, errDamaged
	}
	length = int(binary.LittleEndian.Uint32(b[40:]))
	if length > maxPayload {
		return record{}, 0, 0, errDamaged
	}
	return record{
		epoch:   ulid.ULID(b[4:20]).String(),
		number:  binary.LittleEndian.Uint64(b[20:]),
		written: time.Unix(0, int64(binary.LittleEndian.Uint64(b[28:]))),
		rows:    binary.LittleEndian.Uint32(b[36:]),
	}, length, binary.LittleEndian.Uint32(b[44:]), nil
}

// parseRecord reads a whole record at the start of b.
func parseRecord(b []byte) (record, error) {
	r, length, sum, err := parseHeader(b)
	if err != nil {
		return record{}, err
	}
	if len(b) < recordHeader+length {
		return record{}, errDamaged
	}
	r.data = b[:recordHeader+length]
	if crc32.Checksum(r.payload(), castagnoli) != sum {
		return record{}, errDamaged
	}
	return r, nil
}

// nextRecord finds the first intact record at or after off. skipped says that
// bytes before it, or to the end if there is none, are no record.
func nextRecord(b []byte, off int) (r record, at int, skipped, ok bool) {
	for off < len(b) {
		if r, err := parseRecord(b[off:]); err == nil {
			return r, off, skipped, true
		}
		skipped = true
		i := bytes.Index(b[off+1:], []byte(recordMagic))
		if i < 0 {
			break
		}
		off += 1 + i
	}
	return record{}, len(b), skipped, false
}

// codec turns batches into records and back. The encoder is used under the
// spool's lock, the decoder by any goroutine.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() (*codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("zstd encoder: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxPayload))
	if err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	return &codec{enc: enc, dec: dec}, nil
}

func (c *codec) close() {
	_ = c.enc.Close()
	c.dec.Close()
}

func (c *codec) encode(b *ngfwv1.FlowBatch, at time.Time) (record, error) {
	id, err := ulid.ParseStrict(b.Epoch)
	if err != nil {
		return record{}, fmt.Errorf("epoch %q: %w", b.Epoch, err)
	}
	raw, err := proto.Marshal(b)
	if err != nil { // a name from a DHCP lease or a TLS hello that is not UTF-8
		repair(b)
		raw, err = proto.Marshal(b)
	}
	if err != nil {
		return record{}, fmt.Errorf("encode batch: %w", err)
	}
	out := make([]byte, recordHeader, recordHeader+len(raw)/2)
	out = c.enc.EncodeAll(raw, out)
	h := append(out[:0], recordMagic...)
	h = append(h, id[:]...)
	h = binary.LittleEndian.AppendUint64(h, b.Number)
	h = binary.LittleEndian.AppendUint64(h, uint64(at.UnixNano()))
	h = binary.LittleEndian.AppendUint32(h, uint32(rowsOf(b)))
	h = binary.LittleEndian.AppendUint32(h, uint32(len(out)-recordHeader))
	h = binary.LittleEndian.AppendUint32(h, crc32.Checksum(out[recordHeader:], castagnoli))
	binary.LittleEndian.AppendUint32(h, crc32.Checksum(h, castagnoli))
	return record{epoch: b.Epoch, number: b.Number, written: at, rows: uint32(rowsOf(b)), data: out}, nil
}

func (c *codec) decode(r record) (*ngfwv1.FlowBatch, error) {
	raw, err := c.dec.DecodeAll(r.payload(), nil)
	if err != nil {
		return nil, fmt.Errorf("batch %s/%d: %w", r.epoch, r.number, err)
	}
	b := new(ngfwv1.FlowBatch)
	if err := proto.Unmarshal(raw, b); err != nil {
		return nil, fmt.Errorf("batch %s/%d: %w", r.epoch, r.number, err)
	}
	if b.Epoch != r.epoch || b.Number != r.number {
		return nil, fmt.Errorf("batch %s/%d calls itself %s/%d: %w", r.epoch, r.number, b.Epoch, b.Number, errDamaged)
	}
	return b, nil
}

// repair replaces what is not UTF-8 in a message's texts: protobuf refuses it,
// and one odd host name must not cost a batch.
func repair(m proto.Message) {
	valid := func(v protoreflect.Value) protoreflect.Value {
		return protoreflect.ValueOfString(strings.ToValidUTF8(v.String(), "\uFFFD"))
	}
	r := m.ProtoReflect()
	r.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() && f.MapValue().Kind() == protoreflect.StringKind && f.MapKey().Kind() == protoreflect.StringKind:
			pairs := map[string]protoreflect.Value{}
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				pairs[k.String()] = v
				return true
			})
			r.Clear(f)
			for k, v := range pairs {
				r.Mutable(f).Map().Set(valid(protoreflect.ValueOfString(k)).MapKey(), valid(v))
			}
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				repair(v.List().Get(i).Message().Interface())
			}
		case f.Kind() == protoreflect.StringKind && !f.IsList() && !f.IsMap():
			r.Set(f, valid(v))
		}
		return true
	})
}
