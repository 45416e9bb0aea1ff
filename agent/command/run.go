package command

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"

	"github.com/spf13/cobra"

	"ngfw.sh/agent"
	"ngfw.sh/agent/settings"
)

func runCommand(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run [--policy P.json [--ids I.json] [--qos Q.json]]",
		Short: "Run the agent until it is stopped; packets go on as they are then",
		Long: "Run the agent in the foreground. It enforces the last good policy and follows the cloud of the settings.\n" +
			"With --policy it enforces that file without a cloud, and reads it again on SIGHUP.\n" +
			"With --ids it inspects, with --qos it shapes by that file too: the section as a JSON object (docs/ids.md, docs/qos.md).",
		Args: usageArgs(cobra.NoArgs),
	}
	file := cmd.Flags().String("policy", "", "enforce the policy in this `file`, without a cloud")
	section := cmd.Flags().String("ids", "", "with --policy: inspect by the section ids in this `file`")
	queues := cmd.Flags().String("qos", "", "with --policy: shape by the section qos in this `file`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *section != "" && *file == "" {
			return usagef("--ids goes with --policy: otherwise the cloud says what is inspected")
		}
		if *queues != "" && *file == "" {
			return usagef("--qos goes with --policy: otherwise the cloud says what is shaped")
		}
		s, err := settings.Load(settingsPath(cmd))
		if errors.Is(err, fs.ErrNotExist) && *file != "" && !cmd.Flags().Changed("config") {
			s = settings.Default()
		} else if err != nil {
			return err
		}
		return agent.New(agent.Config{Settings: s, PolicyFile: *file, IDSFile: *section, QoSFile: *queues, Version: env.Version}, logger(env.Stderr, s.Log)).Run(cmd.Context())
	}
	return cmd
}

func logger(w io.Writer, l settings.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		level = slog.LevelInfo // validated by settings
	}
	opts := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
