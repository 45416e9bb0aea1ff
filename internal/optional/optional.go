// Package optional owns how what may be absent is told apart from what is empty: a
// value's zero is its absence, and messages of the API hold a pointer. It is pure.
package optional

// Of is a pointer to a value, nil for its zero.
func Of[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
