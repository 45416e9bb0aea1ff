package server

import (
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"ngfw.sh/lab"
)

// iperf runs iperf3's server on its port 5201. One that ends (it does so after
// some broken clients) is started again.
func (s *Server) iperf(ctx context.Context, group *errgroup.Group) error {
	path, err := exec.LookPath("iperf3")
	if err != nil {
		return fmt.Errorf("iperf3 is missing: apt-get install iperf3 (make deps does it): %w", err)
	}
	group.Go(func() error {
		for ctx.Err() == nil {
			cmd := exec.CommandContext(ctx, path, "--server")
			cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
			cmd.WaitDelay = 2 * time.Second
			err := s.deps.Lab.Run(lab.INET, cmd)
			if ctx.Err() != nil {
				return nil
			}
			s.deps.Log.Warn("iperf3 ended and is started again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
		return nil
	})
	return nil
}
