package wirejson

import (
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// form is what of a message's JSON form its descriptor says. Reading a field's
// options costs more than writing its value, so it is done once.
type form struct {
	known   bool // a well-known type that is JSON itself
	members []member
}

type member struct {
	fd       protoreflect.FieldDescriptor
	label    string // quoted name and colon
	presence bool
	null     bool // shown as null while unset
}

// forms holds one for each message descriptor that was written.
var forms sync.Map

func formOf(d protoreflect.MessageDescriptor) *form {
	if f, ok := forms.Load(d); ok {
		return f.(*form)
	}
	f := &form{}
	switch d.FullName() {
	case structName, valueName, listName:
		f.known = true
	default:
		fields := d.Fields()
		for i := range fields.Len() {
			fd := fields.Get(i)
			f.members = append(f.members, member{
				fd: fd, label: string(append(appendText(nil, string(fd.Name())), ':')),
				presence: fd.HasPresence(), null: NullWhenUnset(fd),
			})
		}
	}
	kept, _ := forms.LoadOrStore(d, f)
	return kept.(*form)
}

// NullWhenUnset says whether the absent field is shown as null.
func NullWhenUnset(fd protoreflect.FieldDescriptor) bool {
	return flag(fd, ngfwv1.E_NullWhenUnset)
}

// ReadOnly says whether the field is ignored in a write.
func ReadOnly(fd protoreflect.FieldDescriptor) bool { return flag(fd, ngfwv1.E_ReadOnly) }

func flag(fd protoreflect.FieldDescriptor, ext protoreflect.ExtensionType) bool {
	on, _ := proto.GetExtension(fd.Options(), ext).(bool)
	return on
}
