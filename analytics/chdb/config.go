package chdb

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
)

// Config is what an engine needs. Paths are made absolute: the engine resolves
// relative ones against places of its own.
type Config struct {
	Library     string // libchdb.so; "" looks as Locate says
	DataDir     string // made if it is not there, 0700
	Socket      string // where Serve listens; "" is engine.sock in DataDir
	MaxMemory   int64  // bytes the engine may use; a query beyond it fails alone
	Connections int    // statements at a time

	// ConfigFile has settings of the engine that no statement can make (clusters,
	// macros); "" is none. For tests: an engine's process is never given one.
	ConfigFile string
}

// DefaultConfig is fit for a small machine; DataDir must be set.
func DefaultConfig() Config {
	return Config{MaxMemory: 1 << 30, Connections: 16}
}

func (c Config) complete() (Config, error) {
	if c.DataDir == "" {
		return c, errors.New("the engine needs a data directory")
	}
	dir, err := filepath.Abs(c.DataDir)
	if err != nil {
		return c, err
	}
	c.DataDir = dir
	if c.Socket == "" {
		c.Socket = filepath.Join(dir, "engine.sock")
	}
	if c.Socket, err = filepath.Abs(c.Socket); err != nil {
		return c, err
	}
	if c.Library, err = Locate(c.Library); err != nil {
		return c, err
	}
	if c.MaxMemory < 256<<20 {
		return c, fmt.Errorf("engine memory %d is below 256 MiB: the engine cannot work with it", c.MaxMemory)
	}
	if c.Connections < 1 {
		return c, fmt.Errorf("engine connections %d: at least one is needed", c.Connections)
	}
	return c, nil
}

// Args are the command line arguments that ParseArgs reads back: what a parent
// gives its engine process.
func (c Config) Args() []string {
	return []string{
		"--library", c.Library, "--data-dir", c.DataDir, "--socket", c.Socket,
		"--max-memory", strconv.FormatInt(c.MaxMemory, 10), "--connections", strconv.Itoa(c.Connections),
	}
}

// ParseArgs reads the arguments of an engine process.
func ParseArgs(args []string) (Config, error) {
	c := DefaultConfig()
	flags := flag.NewFlagSet("engine", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it
	flags.StringVar(&c.Library, "library", c.Library, "path of libchdb.so")
	flags.StringVar(&c.DataDir, "data-dir", c.DataDir, "data directory of the engine")
	flags.StringVar(&c.Socket, "socket", c.Socket, "unix socket to listen on")
	flags.Int64Var(&c.MaxMemory, "max-memory", c.MaxMemory, "bytes the engine may use")
	flags.IntVar(&c.Connections, "connections", c.Connections, "statements at a time")
	if err := flags.Parse(args); err != nil {
		return c, fmt.Errorf("engine: %w", err)
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("engine: unexpected argument %q", flags.Arg(0))
	}
	return c, nil
}
