package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"ngfw.sh/cloud"
)

// options are the flags that all commands share.
type options struct {
	config  string
	dataDir string
	output  string
}

func newRoot() *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use:           "ngfw-cloud",
		Short:         "The cloud that manages ngfw routers",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return usage{fmt.Errorf("name a command")} },
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if o.output != "text" && o.output != "json" {
				return fmt.Errorf("--output must be text or json, not %q", o.output)
			}
			return nil
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	f := root.PersistentFlags()
	f.StringVar(&o.config, "config", "", "configuration `file` (YAML)")
	f.StringVar(&o.dataDir, "data-dir", "", "data `directory` (default "+cloud.DefaultConfig().DataDir+")")
	f.StringVarP(&o.output, "output", "o", "text", "text or json")
	root.AddCommand(newServe(o), newToken(o), newUser(o), newOrg(o), newDevice(o), newMigrate(o), newAnalytics(o), newCheckConfig(o), newEngine(), newVersion(o))
	return root
}

// group is a command that only holds others.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: name, Short: short, Args: noCommand,
		RunE: func(*cobra.Command, []string) error { return usage{fmt.Errorf("name a command of %s", name)} },
	}
	g.AddCommand(commands...)
	return g
}

// noCommand names the command that there is not.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unknown command %q of %s", args[0], cmd.CommandPath())
	}
	return nil
}

// read reads the configuration; flags, applied by override, win.
func (o *options) read(override func(*cloud.Config)) (cloud.Config, error) {
	cfg, file := cloud.DefaultConfig(), (*cloud.File)(nil)
	if o.config != "" {
		var err error
		if cfg, file, err = cloud.ReadConfig(o.config); err != nil {
			return cfg, err
		}
	}
	if o.dataDir != "" {
		cfg.DataDir = o.dataDir
	}
	if override != nil {
		override(&cfg)
	}
	return cfg, cfg.Check(file)
}

// open opens the services for one command, beside a running server or without.
// A command that has nothing to do in an empty installation does not make one:
// the directory is more likely mistyped.
func (o *options) open(cmd *cobra.Command, mayInstall bool) (*cloud.Core, error) {
	cfg, err := o.read(nil)
	if err != nil {
		return nil, err
	}
	if !mayInstall && !cloud.Installed(cfg) {
		return nil, fmt.Errorf("no installation in %s: name its --data-dir, or run serve there first", cfg.DataDir)
	}
	// Only what goes wrong is worth a line among the command's own.
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	return cloud.Open(cmd.Context(), cfg, log, nil)
}

// print writes the answer: v as JSON, or the text's one value to standard
// output, where a script takes it, with the explanation on standard error.
func (o *options) print(cmd *cobra.Command, v any, value, explanation string) error {
	if o.output == "json" {
		return writeJSON(cmd.OutOrStdout(), v)
	}
	if explanation != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), explanation)
	}
	if value == "" {
		return nil
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), strings.TrimRight(value, "\n"))
	return err
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
