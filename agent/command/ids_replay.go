package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"ngfw.sh/dataplane/ids/eve"
	"ngfw.sh/dataplane/ids/replay"
	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/dataplane/ids/settings"
)

type replayFlags struct {
	rules                    *[]string
	capture, config          *string
	inline, unchecked, joins *bool
	set                      *[]string
}

func idsReplayCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay --rules F --pcap F [--eve OUT] [--ips] [--ignore-checksums] [--midstream] [--config suricata.yaml] [--set K=V]",
		Short: "Lead a capture through the matcher and write what it finds",
		Long: "Lead a capture (pcap or pcapng) through the matcher, at the capture's own time, and write EVE events, one JSON\n" +
			"object a line. Without --config limits and variables are those of a stock suricata.yaml. Keys without meaning\n" +
			"here, in the file or in --set, are listed once on stderr and ignored. Rules that are refused are listed there, too.",
		Args: usageArgs(cobra.NoArgs),
	}
	f := newReplayFlags(cmd)
	path := cmd.Flags().String("eve", "-", "where events go: a `file`, or - for stdout")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		cfg, err := f.load(env.Stderr)
		if err != nil {
			return err
		}
		out := env.Stdout
		if *path != "-" {
			file, err2 := os.Create(*path)
			if err2 != nil {
				return err2
			}
			defer func() { err = errors.Join(err, file.Close()) }()
			out = file
		}
		buffered := bufio.NewWriterSize(out, 1<<16)
		_, err = f.run(cmd.Context(), cfg, env.Stderr, buffered)
		return errors.Join(err, buffered.Flush())
	}
	return cmd
}

func newReplayFlags(cmd *cobra.Command) *replayFlags {
	flags := cmd.Flags()
	return &replayFlags{
		rules:     flags.StringArray("rules", nil, "a `file` of rules; may be given several times"),
		capture:   flags.String("pcap", "", "the capture `file`"),
		inline:    flags.Bool("ips", false, "as if packets waited for the verdict: rules drop and reject"),
		unchecked: flags.Bool("ignore-checksums", false, "take packets whatever their checksums are"),
		joins:     flags.Bool("midstream", false, "follow connections whose handshake is not in the capture"),
		config:    flags.String("config", "", "a suricata.yaml `file`"),
		set:       flags.StringArray("set", nil, "a `key=value` of suricata.yaml; may be given several times"),
	}
}

// run leads the capture through the matcher; events go to out.
func (f *replayFlags) run(ctx context.Context, cfg replay.Config, notes, out io.Writer) (*replay.Replay, error) {
	in, err := os.Open(*f.capture)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	capture, err := replay.OpenCapture(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", *f.capture, err)
	}
	r, err := replay.New(cfg, out)
	if err != nil {
		return nil, err
	}
	tellRefused(notes, r)
	err = r.Run(ctx, capture)
	for _, note := range r.Notes {
		fmt.Fprintln(notes, note)
	}
	return r, err
}

// load reads what the flags name.
func (f *replayFlags) load(notes io.Writer) (replay.Config, error) {
	cfg := replay.Config{IgnoreChecksums: *f.unchecked, Log: eve.DefaultConfig()}
	if len(*f.rules) == 0 || *f.capture == "" {
		return cfg, usagef("--rules and --pcap are needed")
	}
	for _, path := range *f.rules {
		text, err := os.ReadFile(path)
		if err != nil {
			return cfg, err
		}
		cfg.Rules = append(cfg.Rules, rule.File{Name: path, Text: string(text)})
	}
	var text []byte
	if *f.config != "" {
		var err error
		if text, err = os.ReadFile(*f.config); err != nil {
			return cfg, err
		}
	}
	set := *f.set
	if *f.joins {
		set = append([]string{"stream.midstream=yes"}, set...)
	}
	for _, s := range set {
		if !strings.Contains(s, "=") {
			return cfg, usagef("--set is key=value, not %q", s)
		}
	}
	s, err := settings.Load(text, set, *f.inline)
	if err != nil {
		if *f.config != "" {
			return cfg, fmt.Errorf("%s: %w", *f.config, err)
		}
		return cfg, err
	}
	if len(s.Ignored) > 0 {
		fmt.Fprintf(notes, "without meaning here: %s\n", strings.Join(s.Ignored, ", "))
	}
	cfg.Settings = s
	type named struct {
		path string
		into *rule.File
	}
	files := []named{
		{s.ThresholdFile, &cfg.Thresholds}, {s.ClassificationFile, &cfg.Classification}, {s.ReferenceFile, &cfg.References},
		{s.ReputationCategories, &cfg.ReputationCategories},
	}
	cfg.Reputation = make([]rule.File, len(s.ReputationFiles))
	for i, path := range s.ReputationFiles {
		files = append(files, named{path, &cfg.Reputation[i]})
	}
	for _, named := range files {
		if named.path == "" {
			continue
		}
		text, err := os.ReadFile(named.path)
		if err != nil {
			// A stock file names files of Suricata's own, which need not be here.
			fmt.Fprintf(notes, "%v\n", err)
			continue
		}
		*named.into = rule.File{Name: named.path, Text: string(text)}
	}
	cfg.Open = openBeside(*f.rules)
	return cfg, nil
}

// openBeside reads files that rules name, relative to the rules' own.
func openBeside(paths []string) func(*rule.Rule, string) ([]byte, error) {
	return func(r *rule.Rule, name string) ([]byte, error) {
		if !filepath.IsAbs(name) && r.File < len(paths) {
			name = filepath.Join(filepath.Dir(paths[r.File]), name)
		}
		return os.ReadFile(name)
	}
}

func tellRefused(notes io.Writer, r *replay.Replay) {
	for _, e := range r.Loaded.Refused {
		fmt.Fprintf(notes, "refused: %v\n", e)
	}
	for _, e := range r.Refused {
		fmt.Fprintf(notes, "refused: %v\n", e)
	}
}
