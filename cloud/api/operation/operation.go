// Package operation owns the API as data: every RPC of the descriptors with
// its permission, plan feature and REST binding. The interceptor chain, the
// gateway, the router of the HTTP front and the OpenAPI document read the same
// list, so that none of them can know an operation the others do not.
//
// Values are immutable after Of. The package does no I/O.
package operation

import (
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Operation is one RPC.
type Operation struct {
	Method     protoreflect.MethodDescriptor
	RPC        string // /ngfw.v1.FleetService/ListDevices
	Permission ngfwv1.Permission
	Feature    ngfwv1.Feature
	Device     bool // works on one router
	Stream     bool // a live stream, not a unary call
	Download   bool // a file, streamed in chunks
	Session    bool // a browser's refresh token may be in a cookie
	IfMatch    bool // a write that may be meant for one state of its resource
	Success    int  // HTTP status of success
	Bindings   []*Binding
}

// Binding is one REST form of an operation.
type Binding struct {
	*Operation
	Verb         string   // GET
	Pattern      string   // /api/fleet/devices/{id}
	Segments     []string // api, fleet, devices, {id}
	Body         string   // "", "*" or the field that the body fills
	ResponseBody string   // "" or the field that is the answer
}

// Of lists the operations of a service ("ngfw.v1.FleetService") in the order of
// its declaration.
func Of(service string) ([]*Operation, error) {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", service, err)
	}
	sd, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is not a service", service)
	}
	ops := make([]*Operation, sd.Methods().Len())
	for i := range ops {
		if ops[i], err = read(sd.Methods().Get(i)); err != nil {
			return nil, fmt.Errorf("%s: %w", sd.Methods().Get(i).FullName(), err)
		}
	}
	return ops, nil
}

// Services lists the services that the linked descriptors of ngfw.v1 declare.
func Services() []string {
	var names []string
	protoregistry.GlobalFiles.RangeFilesByPackage("ngfw.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			names = append(names, string(f.Services().Get(i).FullName()))
		}
		return true
	})
	return names
}

func read(m protoreflect.MethodDescriptor) (*Operation, error) {
	opt, _ := proto.GetExtension(m.Options(), ngfwv1.E_Operation).(*ngfwv1.Operation)
	if opt.GetPermission() == ngfwv1.Permission_PERMISSION_UNSPECIFIED {
		return nil, fmt.Errorf("names no permission")
	}
	o := &Operation{
		Method:     m,
		RPC:        fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()),
		Permission: opt.GetPermission(),
		Feature:    opt.GetFeature(),
		Device:     opt.GetDevice(),
		Stream:     opt.GetStream(),
		Download:   opt.GetDownload(),
		Session:    opt.GetSession(),
		IfMatch:    opt.GetIfMatch(),
		Success:    int(opt.GetHttpStatus()),
	}
	if o.Success == 0 {
		o.Success = http.StatusOK
	}
	if o.Device && o.DeviceField() == nil {
		return nil, fmt.Errorf("works on one router, but %s has no field device_id", m.Input().FullName())
	}
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if rule == nil {
		return o, nil
	}
	for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		b, err := bind(o, r)
		if err != nil {
			return nil, err
		}
		o.Bindings = append(o.Bindings, b)
	}
	return o, nil
}

func bind(o *Operation, r *annotations.HttpRule) (*Binding, error) {
	b := &Binding{Operation: o, Body: r.GetBody(), ResponseBody: r.GetResponseBody()}
	switch p := r.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		b.Verb, b.Pattern = http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		b.Verb, b.Pattern = http.MethodPost, p.Post
	case *annotations.HttpRule_Put:
		b.Verb, b.Pattern = http.MethodPut, p.Put
	case *annotations.HttpRule_Delete:
		b.Verb, b.Pattern = http.MethodDelete, p.Delete
	case *annotations.HttpRule_Patch:
		b.Verb, b.Pattern = http.MethodPatch, p.Patch
	default:
		return nil, fmt.Errorf("an http rule without get, post, put, delete or patch")
	}
	b.Segments = strings.Split(strings.TrimPrefix(b.Pattern, "/"), "/")
	for _, s := range b.Segments {
		name, isParam := Param(s)
		if isParam && b.Method.Input().Fields().ByName(protoreflect.Name(name)) == nil {
			return nil, fmt.Errorf("%s: no field %q", b.Pattern, name)
		}
		if strings.ContainsAny(name, "{}*=:.") {
			return nil, fmt.Errorf("%s: only whole segments {field} are supported", b.Pattern)
		}
	}
	return b, nil
}

// Param is the field that a segment {field} fills.
func Param(segment string) (string, bool) {
	if len(segment) > 2 && segment[0] == '{' && segment[len(segment)-1] == '}' {
		return segment[1 : len(segment)-1], true
	}
	return segment, false
}
