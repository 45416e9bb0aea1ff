package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"ngfw.sh/lab/stack"
)

func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run cloud, lab, agent and traffic until interrupted; then remove all of it",
		Long: `Run cloud, lab, agent and traffic until interrupted; then remove all of it.

NGFW_DETACH=1 returns when all is ready and leaves it running until "stop".
NGFW_LISTEN and NGFW_GRPC_LISTEN are the cloud's addresses, NGFW_LAB_NAME the
lab's name.`,
		Args: cobra.NoArgs,
	}
	cfg := stack.DefaultConfig()
	fromEnvironment(&cfg)
	f := cmd.Flags()
	f.StringVar(&cfg.Name, "name", cfg.Name, "name of the lab")
	f.StringVar(&cfg.Dir, "dir", cfg.Dir, "`directory` for data, logs and credentials while it runs")
	f.StringVar(&cfg.Bin, "bin", cfg.Bin, "`directory` of ngfw-cloud, ngfw-agent and ngfw-lab")
	f.StringVar(&cfg.Listen, "listen", cfg.Listen, "`address` of REST, streams and dashboard")
	f.StringVar(&cfg.GRPCListen, "grpc-listen", cfg.GRPCListen, "`address` of the agents")
	f.BoolVar(&cfg.Traffic, "traffic", cfg.Traffic, "make continuing traffic")
	detached := f.Bool("detach", os.Getenv("NGFW_DETACH") == "1", "return when ready")
	report := f.Int("report-fd", 0, "report progress to this file descriptor")
	f.MarkHidden("report-fd")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case *report > 0:
			return supervise(cmd.Context(), cfg, os.NewFile(uintptr(*report), "report"))
		case *detached:
			return detachRun(cmd.Context(), cfg)
		}
		return attachedRun(cmd.Context(), cfg)
	}
	return cmd
}

func fromEnvironment(cfg *stack.Config) {
	cfg.Name = cmp.Or(os.Getenv("NGFW_LAB_NAME"), cfg.Name)
	cfg.Listen = cmp.Or(os.Getenv("NGFW_LISTEN"), cfg.Listen)
	cfg.GRPCListen = cmp.Or(os.Getenv("NGFW_GRPC_LISTEN"), cfg.GRPCListen)
}

// attachedRun runs in the foreground.
func attachedRun(ctx context.Context, cfg stack.Config) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	s, err := stack.New(cfg, stack.Deps{Log: log, Say: func(msg string) { fmt.Println(msg) }})
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-s.Ready():
			fmt.Println(s.Summary() + "\n  stop         Ctrl-C")
		case <-ended:
		}
	}()
	return s.Run(ctx)
}

func stopCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "End what run started, dead or alive, and remove what it made",
		Args:  cobra.NoArgs,
	}
	dir := cmd.Flags().String("dir", stack.DefaultConfig().Dir, "`directory` of the run")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found, err := stack.Stop(cmd.Context(), *dir)
		if err != nil {
			return err
		}
		if !found {
			fmt.Println("nothing is running")
			return nil
		}
		fmt.Println("stopped")
		return nil
	}
	return cmd
}

// supervisorLog opens the log of a detached run. Nothing is made here while
// another run has the directory.
func supervisorLog(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, stack.SupervisorLog), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return f, nil
}
