package flowbatch

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Two bytes name an empty message, which takes hundreds once it is read: a megabyte
// of them would be a hundred and more, for anybody who may send one.
const (
	mostGrowth = 48       // times its bytes that a message may take; texts in maps in lists take thirty
	smallCost  = 64 << 10 // that any may
	mostDepth  = 256      // of messages in messages
	fieldCost  = 16       // of a message, beside
	headCost   = 48       // of each; and of a place in a map or list
	entryCost  = 2 * headCost
)

var errDense = errors.New("the message is made of too many parts for its size")

// Check refuses a message that would take much more memory than its bytes, before it
// is read. What is malformed it leaves to who reads.
func Check(data []byte, m proto.Message) error {
	left := smallCost + mostGrowth*len(data)
	if !weigh(m.ProtoReflect().Descriptor(), data, mostDepth, &left) {
		return errDense
	}
	return nil
}

// weigh takes from left what a message would take, about; false: it is not enough.
func weigh(md protoreflect.MessageDescriptor, data []byte, depth int, left *int) bool {
	if depth == 0 {
		return false
	}
	fields := md.Fields()
	*left -= headCost + fieldCost*fields.Len()
	if md.IsMapEntry() {
		*left -= entryCost
	}
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return true
		}
		data = data[n:]
		if n = protowire.ConsumeFieldValue(num, typ, data); n < 0 {
			return true
		}
		value := data[:n]
		data = data[n:]
		fd := fields.ByNumber(num)
		switch {
		case fd == nil:
			*left -= n // kept as it is
		case typ != protowire.BytesType:
			if *left -= fieldCost; fd.Message() != nil { // a group: in none of our messages
				return false
			}
		case fd.Message() != nil:
			inside, _ := protowire.ConsumeBytes(value)
			if !weigh(fd.Message(), inside, depth-1, left) {
				return false
			}
		case fd.IsPacked():
			*left -= 8 * n
		default:
			*left -= 2*fieldCost + n
		}
		if *left < 0 {
			return false
		}
	}
	return *left >= 0
}
