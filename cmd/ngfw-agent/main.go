// Command ngfw-agent is the router's side of ngfw.sh. See package
// ngfw.sh/agent/command for its commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"ngfw.sh/agent/command"
	"ngfw.sh/dataplane"
)

// version is set by the linker: -X main.version=v1.2.3.
var version = "devel"

func main() {
	syscall.Umask(0o077) // what is written is nobody else's, wherever the directory is
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root := command.New(command.Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: version, Kernel: dataplane.Kernel{}})
	code := command.Execute(ctx, root, os.Args[1:])
	stop()
	os.Exit(code)
}
