package devicelink

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	// It registers the codec that this one stands before.
	protocodec "google.golang.org/grpc/encoding/proto"

	"ngfw.sh/internal/flowbatch"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// codec is gRPC's own, but that it leaves flow events to Ingest as they came.
type codec struct{ encoding.CodecV2 }

// Codec is what the gRPC server that carries Connect best reads messages with.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2(protocodec.Name)} }

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*ngfwv1.AgentMessage)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer whole.Free()
	return flowbatch.Unmarshal(whole.ReadOnlyData(), m)
}
