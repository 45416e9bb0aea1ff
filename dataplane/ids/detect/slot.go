package detect

import (
	"ngfw.sh/dataplane/ids/rule"
)

// slot is a buffer that rules share: a kind and what it is turned into.
type slot struct {
	kind       *rule.BufferKind
	frame      string
	transforms []transform
}

// slot finds the slot of a buffer, or makes one.
func (c *compiler) slot(b *rule.Buffer) (int32, error) {
	key := b.Kind.Name + "\x00" + b.Frame
	for _, t := range b.Transforms {
		key += "\x00" + t.Name + "\x01" + t.Option + string([]byte{1, byte(t.Base64.Mode), byte(t.Base64.Bytes), byte(t.Base64.Bytes >> 8),
			byte(t.Base64.Offset), byte(t.Base64.Offset >> 8), byte(t.MaxSize), byte(t.MaxSize >> 8), byte(t.MaxSize >> 16)})
	}
	if n, ok := c.slots[key]; ok {
		return n, nil
	}
	s := slot{kind: b.Kind, frame: b.Frame}
	for i := range b.Transforms {
		t, err := newTransform(&b.Transforms[i])
		if err != nil {
			return 0, err
		}
		s.transforms = append(s.transforms, t)
	}
	n := int32(len(c.set.slots))
	c.set.slots = append(c.set.slots, s)
	c.slots[key] = n
	return n, nil
}

// twins are slots whose buffers mostly are the same bytes as those of another: the body of a
// response and the file that it is.
func (c *compiler) twins() map[int32]int32 {
	find := func(kind string) int32 {
		for i := range c.set.slots {
			if s := &c.set.slots[i]; s.kind.Name == kind && len(s.transforms) == 0 {
				return int32(i)
			}
		}
		return -1
	}
	t := map[int32]int32{}
	if body, file := find("http.response_body"), find("file.data"); body >= 0 && file >= 0 {
		t[body] = file
	}
	return t
}
