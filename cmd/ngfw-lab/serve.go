package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"

	"github.com/spf13/cobra"

	"ngfw.sh/lab"
	"ngfw.sh/lab/relay"
	"ngfw.sh/lab/server"
)

// Services are children of their own, started inside the host that they are
// for: so `down` finds them there. Each says by a byte on a pipe that it is
// ready; whoever started it waits for that.
const readyFlag = "ready-fd"

// outerFD is where a relay finds the namespace that it relays to: the second
// file handed to it, after the pipe.
const outerFD = 4

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "serve", Short: "Run inet's servers", Args: cobra.NoArgs, Hidden: true}
	name := nameFlag(cmd)
	ready := cmd.Flags().Int(readyFlag, 0, "write a byte to this file descriptor when ready")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := lab.Open(*name)
		if err != nil {
			return err
		}
		s := server.New(server.DefaultConfig(), server.Deps{Lab: l, Log: logger("serve")})
		go announce(s.Ready(), *ready)
		return s.Run(cmd.Context())
	}
	return cmd
}

func relayCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "relay", Short: "Carry the router's management connections out of the lab", Args: cobra.NoArgs, Hidden: true}
	name := nameFlag(cmd)
	to := cmd.Flags().String("to", "", "`host:port` in the namespace given as file descriptor 4")
	ready := cmd.Flags().Int(readyFlag, 0, "write a byte to this file descriptor when ready")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := lab.Open(*name)
		if err != nil {
			return err
		}
		outer := os.NewFile(outerFD, "the machine's namespace")
		r := relay.New(relay.Config{To: *to}, relay.Deps{Lab: l, Log: logger("relay"), Dial: dialIn(outer)})
		go announce(r.Ready(), *ready)
		return r.Run(cmd.Context())
	}
	return cmd
}

// dialIn connects from another network namespace. The address must be numeric:
// a resolver would look elsewhere.
func dialIn(ns *os.File) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = lab.InNamespace(ns, func() (err error) {
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}

func announce(ready <-chan struct{}, fd int) {
	<-ready
	if fd > 0 {
		pipe := os.NewFile(uintptr(fd), "ready")
		pipe.Write([]byte{'\n'})
		pipe.Close()
	}
}

func detachServe(ctx context.Context, l *lab.Lab) error {
	return detach(ctx, l, lab.INET, nil, "serve", "--name", l.Name())
}

func detachRelay(ctx context.Context, l *lab.Lab, to string) error {
	outer, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer outer.Close()
	return detach(ctx, l, lab.MGMT, []*os.File{outer}, "relay", "--name", l.Name(), "--to", to)
}

// detach starts a service of the lab and returns when it is ready.
func detach(ctx context.Context, l *lab.Lab, host string, files []*os.File, args ...string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	log, err := os.OpenFile(l.Dir()+"/"+args[0]+".log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		write.Close()
		return err
	}
	defer log.Close()
	cmd := exec.Command(exe, append(args, "--"+readyFlag, strconv.Itoa(3))...)
	cmd.ExtraFiles = append([]*os.File{write}, files...)
	cmd.Stderr = log
	err = l.Detach(host, cmd)
	write.Close()
	if err != nil {
		return fmt.Errorf("start %s: %w", args[0], err)
	}
	defer context.AfterFunc(ctx, func() { read.Close() })()
	if _, err := io.ReadFull(read, make([]byte, 1)); err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%s did not become ready: %s", args[0], said)
	}
	return nil
}
