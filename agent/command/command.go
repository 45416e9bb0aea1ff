// Package command owns the command line of ngfw-agent: one file a command, each
// of which turns flags into a Config and calls the package that does the work.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage. Results go to stdout, everything
// about them to stderr; -o json is there wherever a program may read the result.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"ngfw.sh/agent/doctor"
	"ngfw.sh/agent/settings"
	"ngfw.sh/internal/fault"
)

// Env is what a command sees of the world.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Version        string        // of the build
	Kernel         doctor.Kernel // nil: doctor does not examine its features
}

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// New is the root command. Further ones are added to it.
func New(env Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "ngfw-agent",
		Short: "The router's side of ngfw.sh: enforces the policy and reports what happened",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(env.Stderr)
			_ = cmd.Usage() // writes to a terminal; its failure has no remedy
			return usagef("a command is missing")
		},
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.PersistentFlags().String("config", settings.DefaultPath, "the agent's settings `file`")
	root.AddCommand(configureCommand(env), runCommand(env), removeCommand(env), policyCommand(env), simulateCommand(env), traceCommand(env), idsCommand(env),
		statusCommand(env), doctorCommand(env), versionCommand(env))
	return root
}

// Execute runs a command line and returns the exit code.
func Execute(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if f, ok := fault.As(err); ok && len(f.Fields) > 1 && cmd.Name() != "run" {
		fmt.Fprintf(root.ErrOrStderr(), "%s: %s%d errors\n", cmd.CommandPath(), strings.TrimSuffix(err.Error(), f.Error()), len(f.Fields))
		for _, field := range f.Fields {
			fmt.Fprintf(root.ErrOrStderr(), "  %s: %s\n", field.Path, field.Message)
		}
	} else if !errors.Is(err, errSilent) {
		// One line, so that it can be read in a log among others.
		fmt.Fprintf(root.ErrOrStderr(), "%s: %s\n", cmd.CommandPath(), strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; "))
	}
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(root.ErrOrStderr(), "%s --help shows how\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailed
}

// errSilent fails a command that has said all on stdout.
var errSilent = errors.New("failed")

// usageError is a wrong command line.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// usageArgs makes a complaint about arguments one about usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &usageError{err}
		}
		return nil
	}
}

// outputFlag adds -o and returns a reader of it.
func outputFlag(cmd *cobra.Command) func() (json bool, err error) {
	format := cmd.Flags().StringP("output", "o", "text", "`format` of the result: text or json")
	return func() (bool, error) {
		switch *format {
		case "json":
			return true, nil
		case "text":
			return false, nil
		}
		return false, usagef("--output is text or json, not %q", *format)
	}
}

func settingsPath(cmd *cobra.Command) string {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		panic(err) // the root command declares it
	}
	return path
}
