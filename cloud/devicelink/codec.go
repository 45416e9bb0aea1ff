package devicelink

import (
	"errors"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	// It registers the codec that this one stands before.
	protocodec "google.golang.org/grpc/encoding/proto"

	"ngfw.sh/internal/flowbatch"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// codec is gRPC's own, but that it leaves flow events to Ingest as they came, and
// refuses what would grow when it is read: a message is read before anybody knows
// whose it is.
type codec struct{ encoding.CodecV2 }

// opening is the first message of a connection. It holds a key and little else.
type opening struct{ *ngfwv1.AgentMessage }

// maxOpening bounds its bytes: a section that the router runs takes some twenty.
const maxOpening = 16 << 10

var errOpening = errors.New("the first message is too large")

// Codec is what the gRPC server that carries Connect best reads messages with.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2(protocodec.Name)} }

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer whole.Free()
	switch m := v.(type) {
	case *ngfwv1.AgentMessage:
		return flowbatch.Unmarshal(whole.ReadOnlyData(), m)
	case *opening:
		if whole.Len() > maxOpening {
			return errOpening
		}
		return flowbatch.Unmarshal(whole.ReadOnlyData(), m.AgentMessage)
	case proto.Message:
		if err := flowbatch.Check(whole.ReadOnlyData(), m); err != nil {
			return err
		}
	}
	return c.CodecV2.Unmarshal(mem.BufferSlice{whole}, v)
}
