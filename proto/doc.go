// Package proto holds the API as protobuf: messages, REST bindings, permissions.
// gen holds what the compiler makes of it; `make generate` renews it.
package proto

//go:generate go run ./internal/protogen
