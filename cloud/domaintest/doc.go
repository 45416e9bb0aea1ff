// Package domaintest puts the domain services together over a real database, as
// the process does, and holds what is true of all of them: whose devices one
// may touch, what a change leaves behind, what survives a restart. It has tests
// alone.
package domaintest
