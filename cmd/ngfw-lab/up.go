package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"ngfw.sh/lab"
)

func upCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Make a lab with its servers; one that is up stays as it is",
		Args:  cobra.NoArgs,
	}
	name := nameFlag(cmd)
	forward := cmd.Flags().Bool("forward", false, "plain router: forward from the start, without a filter or NAT")
	relayTo := cmd.Flags().String("relay", "", "carry the router's connections to the management address on to this `host:port`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg := lab.DefaultConfig()
		cfg.Name, cfg.Forward = *name, *forward
		return up(cmd.Context(), cfg, *relayTo)
	}
	return cmd
}

func up(ctx context.Context, cfg lab.Config, relayTo string) error {
	l, err := lab.Up(ctx, cfg)
	if errors.Is(err, lab.ErrInUse) {
		return alreadyUp(ctx, cfg, err)
	}
	if err != nil {
		return err
	}
	err = detachServe(ctx, l)
	if err == nil && relayTo != "" {
		err = detachRelay(ctx, l, relayTo)
	}
	if err != nil {
		return errors.Join(err, lab.Down(context.WithoutCancel(ctx), l.Name()))
	}
	fmt.Printf("lab %s is up\n", l.Name())
	return nil
}

// alreadyUp makes `up` repeatable, as long as the same is asked for. Servers that
// have died are started again.
func alreadyUp(ctx context.Context, cfg lab.Config, inUse error) error {
	l, err := lab.Named(cfg.Name)
	if err != nil {
		return err
	}
	s, ok := l.State()
	switch {
	case !ok || s.Owner != nil:
		return inUse
	case s.Forward != cfg.Forward:
		return fmt.Errorf("%w, made with --forward=%v: ngfw-lab down --name %s first", inUse, s.Forward, cfg.Name)
	}
	if !serving(l) {
		if err := detachServe(ctx, l); err != nil {
			return err
		}
	}
	fmt.Printf("lab %s is up already\n", cfg.Name)
	return nil
}

// serving says whether inet's web server answers.
func serving(l *lab.Lab) bool {
	return l.In(lab.INET, func() error {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(lab.IP4(lab.INET).String(), "80"), time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	}) == nil
}

func downCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Remove a lab, whole or broken, and end what runs in it",
		Args:  cobra.NoArgs,
	}
	name := nameFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		// An interrupt must not leave half a lab: removing it is quick.
		return lab.Down(context.WithoutCancel(cmd.Context()), *name)
	}
	return cmd
}
