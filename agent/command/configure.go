package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"ngfw.sh/agent/settings"
	"ngfw.sh/internal/secret"
)

// configure is what the command was asked for.
type configure struct {
	key, keyFile, server, caFile string
	stdin, insecure              bool
}

func configureCommand(env Env) *cobra.Command {
	var c configure
	cmd := &cobra.Command{
		Use:   "configure (--api-key-file F | - | --api-key K) [--server URL] [--ca-file F]",
		Short: "Write the device key and the cloud's address into the settings",
		Long: `Write the device key and the cloud's address into the settings file, which only
its owner can read. Other settings in it stay as they are. Nothing else is
touched: no connection is made, nothing is started.

The key comes from a file, from standard input (-), or from the command line,
where every user of this machine can see it while the command runs. It is copied
into the settings. Once it is there, server and CA can be changed without it.`,
		Example: "  ngfw-agent configure --api-key-file key --server grpcs://cloud.example:9090 --ca-file ca.pem\n" +
			"  ngfw-agent configure - <key",
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if args[0] != "-" {
					return usagef("unexpected argument %q: a key is given by --api-key-file or - (standard input)", redact(args[0]))
				}
				c.stdin = true
			}
			if c.keyFile == "-" {
				c.stdin = true
			}
			return c.run(env, cmd)
		},
	}
	cmd.Flags().StringVar(&c.key, "api-key", "", "the device `key`; better use --api-key-file")
	cmd.Flags().StringVar(&c.keyFile, "api-key-file", "", "`file` that holds the device key")
	cmd.Flags().StringVar(&c.server, "server", "", "`URL` of the cloud: grpcs://host:port or wss://host; empty removes it")
	cmd.Flags().StringVar(&c.caFile, "ca-file", "", "`file` with the CA of the cloud's certificate; empty removes it")
	cmd.Flags().BoolVar(&c.insecure, "insecure", false, "allow plain text (grpc://, ws://) to another machine")
	return cmd
}

// redact keeps a key that was given as an argument out of the error, which may
// go to a log.
func redact(arg string) string {
	if len(arg) > 9 && arg[:9] == "ngfw_dev_" {
		return "ngfw_dev_…"
	}
	return arg
}

func (c configure) run(env Env, cmd *cobra.Command) error {
	path := settingsPath(cmd)
	changed := cmd.Flags().Changed
	sources := 0
	for _, given := range []bool{changed("api-key"), changed("api-key-file") && c.keyFile != "-", c.stdin} {
		if given {
			sources++
		}
	}
	var changes []settings.Change
	switch sources {
	case 0:
		if err := c.keyIsThere(path); err != nil {
			return err
		}
	case 1:
		key, err := c.readKey(env, changed("api-key"))
		if err != nil {
			return err
		}
		changes = append(changes, settings.Change{Key: "api_key", Value: key.Expose()}, settings.Change{Key: "api_key_file"})
	default:
		return usagef("give the key once: --api-key, --api-key-file or -")
	}

	if changed("insecure") || changed("server") { // it was allowed for the old server alone
		changes = append(changes, setOrRemove("insecure", c.insecure))
	}
	if changed("server") {
		if c.server != "" {
			if _, err := settings.ParseServer(c.server, c.insecure); err != nil {
				return usagef("--server: %w", err)
			}
		}
		changes = append(changes, setOrRemove("server", c.server))
	}
	if changed("ca-file") {
		ca := c.caFile
		if ca != "" {
			if _, err := settings.LoadCA(ca); err != nil {
				return fmt.Errorf("--ca-file: %w", err)
			}
			var err error
			if ca, err = filepath.Abs(ca); err != nil { // the agent runs elsewhere
				return err
			}
		}
		changes = append(changes, setOrRemove("ca_file", ca))
	}
	if len(changes) == 0 {
		return usagef("nothing to configure: give a key, --server or --ca-file")
	}

	s, err := settings.Edit(path, changes...)
	if err != nil {
		return err
	}
	if changed("api-key") {
		fmt.Fprintln(env.Stderr, "warning: while this command ran, every user of this machine could see the key in the process list; the shell may have kept it too")
	}
	if s.Server == "" {
		fmt.Fprintln(env.Stderr, "note: no server is set yet; give it with --server grpcs://host:port")
	}
	_, err = fmt.Fprintf(env.Stdout, "wrote %s\n", path)
	return err
}

func setOrRemove[T comparable](key string, value T) settings.Change {
	var zero T
	if value == zero {
		return settings.Change{Key: key}
	}
	return settings.Change{Key: key, Value: value}
}

func (c configure) readKey(env Env, inline bool) (secret.Text, error) {
	switch {
	case inline:
		key := secret.Text(c.key)
		if err := settings.CheckKey(key); err != nil {
			return "", usagef("--api-key: %w", err)
		}
		return key, nil
	case c.stdin:
		key, err := settings.ReadKey(env.Stdin)
		if err != nil {
			return "", fmt.Errorf("standard input: %w", err)
		}
		return key, nil
	}
	f, err := os.Open(c.keyFile)
	if err != nil {
		return "", fmt.Errorf("--api-key-file: %w", err)
	}
	defer f.Close()
	key, err := settings.ReadKey(f)
	if err != nil {
		return "", fmt.Errorf("--api-key-file %s: %w", c.keyFile, err)
	}
	return key, nil
}

// keyIsThere allows other changes without a key.
func (c configure) keyIsThere(path string) error {
	s, err := settings.Load(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil || s.APIKey == "" && s.APIKeyFile == "" {
		return usagef("the device key is missing: give --api-key-file, - or --api-key")
	}
	return nil
}
