// Command ngfw-lab makes a small network in network namespaces, and runs the
// whole of ngfw.sh in one. `ngfw-lab help` lists what it does.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"ngfw.sh/lab"
)

// Exit codes: 0 done, 1 failed, 2 wrong usage.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	understood := false // cobra answers wrong flags and arguments before any PreRun
	root := &cobra.Command{
		Use:               "ngfw-lab",
		Short:             "A small network in network namespaces: clients, a router, an internet",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRun:  func(*cobra.Command, []string) { understood = true },
	}
	root.AddCommand(runCommand(), stopCommand(), versionCommand(), upCommand(), downCommand(), listCommand(), execCommand(), trafficCommand(), serveCommand(), relayCommand())
	err := root.ExecuteContext(ctx)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "ngfw-lab:", err)
	var coded exitError
	switch {
	case errors.As(err, &coded):
		os.Exit(coded.code)
	case !understood:
		os.Exit(2)
	}
	os.Exit(1)
}

// exitError is a failure with an exit code of its own.
type exitError struct {
	code int
	error
}

func usage(format string, args ...any) error { return exitError{2, fmt.Errorf(format, args...)} }

// nameFlag adds --name, which means the same everywhere.
func nameFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("name", cmp.Or(os.Getenv("NGFW_LAB_NAME"), lab.DefaultName), "name of the lab")
}

// logger writes what a service has to say to stderr.
func logger(service string) *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, nil)).With("service", service)
}
