// Package linktest runs both ends of the agent protocol against each other in
// one process: the agent's link with its real spool, and the cloud's devicelink
// with fakes for its stores, over real gRPC with TLS on loopback. It holds tests
// alone, since neither end may import the other.
package linktest
