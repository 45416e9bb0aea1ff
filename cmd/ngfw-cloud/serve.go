package main

import (
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"ngfw.sh/cloud"
)

func newServe(o *options) *cobra.Command {
	var listen, grpcListen, cert, key string
	var names []string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the service",
		Long: `Run the service until it is interrupted.

On an empty data directory it makes an owner and writes the credentials to
bootstrap.json in it. Without --tls-cert it makes a certification authority
there, whose ca.pem routers are given.`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "", "`address` of REST, streams and dashboard (default "+cloud.DefaultConfig().Listen+")")
	f.StringVar(&grpcListen, "grpc-listen", "", "`address` of routers and the gRPC API (default "+cloud.DefaultConfig().GRPCListen+")")
	f.StringVar(&cert, "tls-cert", "", "certificate chain `file` (PEM) of the gRPC listener")
	f.StringVar(&key, "tls-key", "", "key `file` (PEM) of the gRPC listener")
	f.StringArrayVar(&names, "tls-name", nil, "further `name` or address in the certificate that is made (repeatable)")
	cmd.MarkFlagsRequiredTogether("tls-cert", "tls-key")
	cmd.MarkFlagsMutuallyExclusive("tls-cert", "tls-name")
	cmd.RunE = done(func(cmd *cobra.Command, _ []string) error {
		cfg, err := o.read(func(c *cloud.Config) {
			override(&c.Listen, listen)
			override(&c.GRPCListen, grpcListen)
			if cert != "" {
				c.TLS = cloud.TLS{Cert: cert, Key: key}
			}
			c.TLS.Names = append(c.TLS.Names, names...)
		})
		if err != nil {
			return err
		}
		if os.Getenv("GOMEMLIMIT") == "" {
			// Rows on their way to the database are garbage soon: rather collect
			// more often than grow. A soft limit, what is needed is had.
			debug.SetMemoryLimit(224 << 20)
		}
		registry := prometheus.NewRegistry()
		registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		return cloud.Serve(cmd.Context(), cfg, cloud.Deps{Log: newLog(cfg.Log, cmd.ErrOrStderr()), Registry: registry})
	})
	return cmd
}

func override(value *string, flag string) {
	if flag != "" {
		*value = flag
	}
}

func newLog(cfg cloud.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	level.UnmarshalText([]byte(cfg.Level)) // Check has seen it
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
