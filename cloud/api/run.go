package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// Run serves until ctx ends, then lets running requests end within
// ShutdownTimeout; streams end at once. It returns the first failure, or nil.
func (s *Server) Run(ctx context.Context) error {
	defer s.conn.Close()
	defer s.close()
	var listening net.ListenConfig
	web, err := listening.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for http: %w", err)
	}
	s.httpAddr = web.Addr()
	var agents net.Listener
	if s.cfg.GRPCListen != "" {
		if agents, err = listening.Listen(ctx, "tcp", s.cfg.GRPCListen); err != nil {
			web.Close()
			return fmt.Errorf("listen for grpc: %w", err)
		}
		s.grpcAddr = agents.Addr()
	}
	close(s.ready)

	httpServer := &http.Server{
		Handler:           s.front,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		// A client that takes no answer keeps no connection; streams have their own.
		WriteTimeout:   s.cfg.BodyTimeout + s.cfg.RequestTimeout + s.cfg.StreamStall,
		MaxHeaderBytes: 64 << 10,
	}
	failed := make(chan error, 3)
	var running sync.WaitGroup
	serve := func(name string, f func() error) {
		running.Go(func() {
			if err := f(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) {
				failed <- fmt.Errorf("serve %s: %w", name, err)
			}
		})
	}
	serve("in process", func() error { return s.inside.Serve(s.pipe) })
	serve("http", func() error { return httpServer.Serve(web) })
	if agents != nil {
		serve("grpc", func() error { return s.outside.Serve(agents) })
	}
	s.deps.Logger.Info("api listening", "http", s.cfg.Listen, "grpc", s.cfg.GRPCListen)
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	s.close() // ends the streams
	s.shutdown(httpServer)
	running.Wait()
	return err
}

// shutdown ends the front first: what it still answers needs the inside.
func (s *Server) shutdown(web *http.Server) {
	limit, cancel := context.WithTimeout(context.Background(), s.cfg.ShutdownTimeout)
	defer cancel()
	defer context.AfterFunc(limit, func() {
		web.Close()
		s.outside.Stop()
		s.inside.Stop()
	})()
	_ = web.Shutdown(limit) // what is left is closed by force
	s.front.bridge.wait(limit)
	s.outside.GracefulStop()
	s.inside.GracefulStop()
}
