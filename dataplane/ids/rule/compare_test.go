package rule

import (
	"reflect"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sameRule compares rules by their meaning: what the text says of itself is
// left out.
var sameRule = cmp.Options{
	cmpopts.IgnoreFields(Rule{}, "Line", "File", "Text"),
	cmp.Exporter(func(t reflect.Type) bool { return strings.HasPrefix(t.PkgPath(), "ngfw.sh/") }),
	cmpopts.EquateComparable(span[uint16]{}, BufferKind{}),
	cmp.Comparer(func(a, b *Addresses) bool { return a == b || a != nil && b != nil && a.String() == b.String() }),
	cmp.Comparer(func(a, b *BufferKind) bool { return a == b }),
	cmpopts.EquateEmpty(),
}
