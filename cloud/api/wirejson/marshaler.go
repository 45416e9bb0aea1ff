// Package wirejson owns the JSON form of the API's messages: snake_case names,
// 64-bit integers as numbers, scalars without presence always shown, absent
// optionals left out or null as the field's option says, bare arrays.
//
// Reading is strict: an unknown or repeated member, a wrong type, a number out
// of range, bad UTF-8, too deep nesting or trailing text is an error that names
// the JSON path of every wrong field. Read-only fields in a write are ignored.
//
// For every message m without NaN, infinity and U+0000 in texts, decoding what
// Append wrote gives m again (with KeepReadOnly). The package holds no state but
// what descriptors say.
package wirejson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/proto"

	"ngfw.sh/internal/fault"
)

// ContentType is the media type of every success body.
const ContentType = "application/json"

// Marshaler is the gateway's view of this package.
type Marshaler struct{}

var _ runtime.Marshaler = Marshaler{}

// ContentType implements runtime.Marshaler.
func (Marshaler) ContentType(any) string { return ContentType }

// Marshal writes a message, or the list of messages or scalars that a
// response_body names.
func (Marshaler) Marshal(v any) ([]byte, error) {
	if m, ok := v.(proto.Message); ok {
		return append(Append(nil, m), '\n'), nil
	}
	list := reflect.ValueOf(v)
	if list.Kind() != reflect.Slice {
		return nil, fmt.Errorf("no JSON form for %T", v)
	}
	b := []byte{'['}
	for i := range list.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		switch e := list.Index(i).Interface().(type) {
		case proto.Message:
			b = Append(b, e)
		default:
			text, err := json.Marshal(e) // a scalar
			if err != nil {
				return nil, err
			}
			b = append(b, text...)
		}
	}
	return append(b, ']', '\n'), nil
}

// Unmarshal implements runtime.Marshaler.
func (Marshaler) Unmarshal(data []byte, v any) error { return Options{}.DecodeBody(data, v) }

// NewDecoder implements runtime.Marshaler.
func (m Marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		return m.Unmarshal(data, v)
	})
}

// NewEncoder implements runtime.Marshaler.
func (m Marshaler) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(v any) error {
		b, err := m.Marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	})
}

// DecodeBody reads a request body into what the gateway's generated code hands
// over: the message itself (body "*"; no text is then an empty object), a
// pointer to a message field, or a pointer to a list of messages.
func (o Options) DecodeBody(data []byte, v any) error {
	empty := len(bytes.TrimSpace(data)) == 0
	if m, ok := v.(proto.Message); ok {
		if empty {
			return nil
		}
		return o.Decode(data, m)
	}
	into := reflect.ValueOf(v)
	if into.Kind() != reflect.Pointer {
		return fmt.Errorf("cannot decode into %T", v)
	}
	into = into.Elem()
	switch {
	case into.Kind() == reflect.Pointer:
		m, ok := reflect.New(into.Type().Elem()).Interface().(proto.Message)
		if !ok {
			break
		}
		if empty {
			return fault.New(fault.BadRequest, "the request has no body: send a JSON object")
		}
		if err := o.Decode(data, m); err != nil {
			return err
		}
		into.Set(reflect.ValueOf(m))
		return nil
	case into.Kind() == reflect.Slice:
		if empty {
			return fault.New(fault.BadRequest, "the request has no body: send a JSON array")
		}
		return o.decodeList(data, into)
	}
	return fmt.Errorf("cannot decode into %T", v)
}

func (o Options) decodeList(data []byte, into reflect.Value) error {
	d := &decoder{s: scanner{src: data}, Options: o}
	return d.document(func() error {
		if d.s.next() != '[' {
			return d.wrong(nil, "an array")
		}
		return d.s.elements(func(i int) error {
			m, ok := reflect.New(into.Type().Elem().Elem()).Interface().(proto.Message)
			if !ok {
				return fmt.Errorf("cannot decode into %s", into.Type())
			}
			into.Set(reflect.Append(into, reflect.ValueOf(m)))
			return d.message(m.ProtoReflect(), (*path)(nil).element(i))
		})
	})
}
