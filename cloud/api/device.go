package api

import (
	"context"

	"google.golang.org/protobuf/reflect/protoreflect"

	"ngfw.sh/internal/fault"
)

// chooseDevice writes the router that the call is about into the request's
// device_id: what the header or the request names, else the caller's only one
// if the operation needs one. Named, it is always looked up, so that no service
// sees a foreign id.
func (c *chain) chooseDevice(ctx context.Context, call *call, m protoreflect.Message) error {
	if !call.op.TakesDevice() {
		return nil
	}
	holder, fd := m, call.op.DeviceField()
	if fd == nil {
		filter := call.op.FilterField()
		fd = filter.Message().Fields().ByName("device_id")
		if call.Device == "" && !m.Has(filter) {
			return nil
		}
		holder = m.Mutable(filter).Message()
	}
	id, inside := call.Device, holder.Get(fd).String()
	if id != "" && inside != "" && id != inside {
		f := fault.New(fault.BadRequest, "X-Device-ID and device_id name different routers")
		f.Fields = []fault.Field{{Path: "device_id", Message: f.Message}}
		return f
	}
	if id == "" {
		id = inside
	}
	if id == "" && !call.op.Device {
		return nil
	}
	id, err := c.devices.Resolve(ctx, call.caller, id)
	if err != nil {
		return err
	}
	holder.Set(fd, protoreflect.ValueOfString(id))
	return nil
}
