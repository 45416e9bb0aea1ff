package relay_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
	"ngfw.sh/lab/relay"
)

func dial(t *testing.T, l *labtest.Lab) (conn *net.TCPConn) {
	t.Helper()
	l.In(lab.RTR, func() {
		c, err := net.DialTimeout("tcp", relay.Address().String(), 5*time.Second)
		if err != nil {
			t.Error(err)
			return
		}
		conn = c.(*net.TCPConn)
	})
	if conn == nil {
		t.FailNow()
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestBytesAndTheirEndPassBothWays(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		heard, _ := io.ReadAll(conn) // until the client has closed its half
		conn.Write(append([]byte("heard "), heard...))
	}()
	conn := dial(t, labtest.New(t, labtest.Relay(ln.Addr().String())))
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	conn.CloseWrite()
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != "heard hello" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestNobodyAtTheFarEnd(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := ln.Addr().String()
	ln.Close()
	l := labtest.New(t, labtest.Relay(to))
	l.In(lab.RTR, func() {
		// The reset may come before the dial has returned, or after.
		conn, err := net.DialTimeout("tcp", relay.Address().String(), 5*time.Second)
		if err == nil {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			_, err = conn.Read(make([]byte, 1))
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", err)
		}
	})
}
