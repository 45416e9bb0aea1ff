package main

import (
	"errors"
	"io/fs"
	"os/exec"

	"github.com/spf13/cobra"

	"ngfw.sh/lab"
)

func execCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "exec HOST -- COMMAND [ARG...]",
		Short:   "Run a command in a host; its exit code is passed on",
		Example: "  ngfw-lab exec lan1 -- curl http://203.0.113.1/",
		Args: func(cmd *cobra.Command, args []string) error {
			if dash := cmd.ArgsLenAtDash(); dash != 1 || len(args) < 2 {
				return errors.New("usage: ngfw-lab exec [--name N] HOST -- COMMAND [ARG...]")
			}
			return nil
		},
	}
	name := nameFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		l, err := lab.Open(*name)
		if err != nil {
			return err
		}
		err = l.Exec(args[0], args[1:])
		// As a shell has it: 127 not found, 126 found and not to be run.
		switch {
		case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
			return exitError{127, err}
		case errors.Is(err, fs.ErrPermission):
			return exitError{126, err}
		}
		return err
	}
	return cmd
}
