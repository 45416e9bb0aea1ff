// Command ngfw-cloud is the cloud service and the operator's commands beside
// it: flags, configuration, and a call into package cloud.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage. What a program may read goes to
// standard output, as JSON with -o json; the rest goes to standard error.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"ngfw.sh/cloud"
)

func main() {
	syscall.Umask(0o077) // what is written is nobody else's, wherever the directory is
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends a stop that takes too long.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// failure marks an error of a command that was used rightly.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// usage is a wrong use that only the command itself can see.
type usage struct{ error }

func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var problems cloud.Problems
	if errors.As(err, &problems) {
		fmt.Fprintln(errs, problems.Error()) // each line begins with its place
	} else {
		fmt.Fprintf(errs, "ngfw-cloud: %v\n", err)
	}
	if failed := (failure{}); errors.As(err, &failed) {
		return 1
	}
	fmt.Fprintf(errs, "see %s --help\n", cmd.CommandPath())
	return 2
}

// done makes a command's function: what it returns is a failure, unless it
// says that it was used wrongly.
func done(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd, args)
		if wrong := (usage{}); err == nil || errors.As(err, &wrong) {
			return err
		}
		return failure{err}
	}
}
