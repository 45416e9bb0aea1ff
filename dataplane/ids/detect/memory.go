package detect

// memory is what detection remembers of a flow.
type memory struct{}
