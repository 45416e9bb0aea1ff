package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"ngfw.sh/lab/stack"
)

// What a detached supervisor reports, one line each, to whoever started it.
const (
	reportSay    = "say "
	reportReady  = "ready"
	reportFailed = "failed "
)

// detachRun starts a supervisor in a session of its own and returns when all is
// ready. Interrupted before, it takes the supervisor with it.
func detachRun(ctx context.Context, cfg stack.Config) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd := exec.Command(exe, "run", "--report-fd", strconv.Itoa(3),
		"--name", cfg.Name, "--dir", cfg.Dir, "--bin", cfg.Bin, "--listen", cfg.Listen, "--grpc-listen", cfg.GRPCListen,
		"--traffic="+strconv.FormatBool(cfg.Traffic))
	cmd.ExtraFiles = []*os.File{write}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	write.Close()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { cmd.Process.Signal(syscall.SIGTERM) })
	defer stop()

	lines := bufio.NewScanner(read)
	for lines.Scan() {
		line := lines.Text()
		if said, ok := strings.CutPrefix(line, reportSay); ok {
			fmt.Println(unescape(said))
		}
		if failed, ok := strings.CutPrefix(line, reportFailed); ok {
			cmd.Wait()
			return errors.New(unescape(failed))
		}
		if line == reportReady {
			fmt.Println("  stop         make stop")
			return cmd.Process.Release()
		}
	}
	cmd.Wait()
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return fmt.Errorf("the supervisor ended before all was ready; its log is %s/%s", cfg.Dir, stack.SupervisorLog)
}

// supervise is the detached half.
func supervise(ctx context.Context, cfg stack.Config, report *os.File) error {
	tell := func(kind, text string) { fmt.Fprintln(report, kind+escape(text)) }
	// The pipe is for this process alone: no child may keep it open.
	syscall.CloseOnExec(int(report.Fd()))
	log := &lateLog{dir: cfg.Dir}
	s, err := stack.New(cfg, stack.Deps{
		Log: slog.New(slog.NewTextHandler(log, nil)),
		Say: func(msg string) { tell(reportSay, msg) },
	})
	if err == nil {
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		select {
		case err = <-done:
		case <-s.Ready():
			tell(reportSay, s.Summary())
			tell(reportReady, "")
			report.Close()
			return <-done
		}
	}
	if err != nil {
		tell(reportFailed, err.Error())
	}
	return err
}

// lateLog opens the supervisor's log with its first line: a run that is refused
// must not leave files in another one's directory.
type lateLog struct {
	dir  string
	file *os.File
}

// Write is called by one slog handler, which serialises.
func (l *lateLog) Write(p []byte) (int, error) {
	if l.file == nil {
		f, err := supervisorLog(l.dir)
		if err != nil {
			return 0, err
		}
		l.file = f
	}
	return l.file.Write(p)
}

// Lines of a report hold no line breaks.
func escape(s string) string   { return strings.ReplaceAll(s, "\n", "\x00") }
func unescape(s string) string { return strings.ReplaceAll(s, "\x00", "\n") }
