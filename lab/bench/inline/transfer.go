package inline

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ngfw.sh/lab"
)

// server answers HTTP in inet. Both ends do as little as they can: it sends from a file
// (sendfile(2)), and the client has what comes thrown away (MSG_TRUNC of tcp(7)).
type server struct {
	listener net.Listener
	body     *os.File
	length   int64
}

func serve(l *lab.Lab, body []byte) (*server, error) {
	fd, err := unix.MemfdCreate("body", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file for the body: %w", err)
	}
	s := &server{body: os.NewFile(uintptr(fd), "body"), length: int64(len(body))}
	if _, err := s.body.Write(body); err != nil {
		return nil, errors.Join(err, s.body.Close())
	}
	err = l.In(lab.INET, func() (err error) {
		s.listener, err = net.Listen("tcp", address().String())
		return err
	})
	if err != nil {
		return nil, errors.Join(err, s.body.Close())
	}
	go func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.answer(conn.(*net.TCPConn))
		}
	}()
	return s, nil
}

func (s *server) close() { s.listener.Close(); s.body.Close() }

func request(size int64) []byte {
	return fmt.Appendf(nil, "GET /page?size=%d HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\nConnection: close\r\n\r\n", size)
}

func header(size int64) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", size)
}

// answer sends what the request's first line asks for. An error shows at the client.
func (s *server) answer(conn *net.TCPConn) {
	defer conn.Close()
	var size int64
	in := bufio.NewReader(conn)
	first, err := in.ReadString('\n')
	if err != nil {
		return
	}
	if _, err := fmt.Sscanf(first, "GET /page?size=%d HTTP/1.1", &size); err != nil {
		return
	}
	for line := first; strings.TrimSpace(line) != ""; {
		if line, err = in.ReadString('\n'); err != nil {
			return
		}
	}
	if _, err := conn.Write(header(size)); err != nil {
		return
	}
	for left := size; left > 0; {
		if _, err := s.body.Seek(0, io.SeekStart); err != nil {
			return
		}
		n, err := conn.ReadFrom(io.LimitReader(s.body, min(left, s.length)))
		if err != nil || n == 0 {
			return
		}
		left -= n
	}
}

// fetch transfers size bytes to lan1. It gives what both ends have sent, and the time from the request
// to the last byte.
func (s *server) fetch(l *lab.Lab, size int64) (sent int64, took time.Duration, err error) {
	var fd int
	err = l.In(lab.LAN1, func() error {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		// Nothing that goes wrong may last.
		limit := unix.NsecToTimeval(int64(30 * time.Second))
		err := errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
			unix.Connect(fd, &unix.SockaddrInet4{Addr: address().Addr().As4(), Port: int(address().Port())}))
		if err != nil {
			unix.Close(fd)
		}
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("connect to the server: %w", err)
	}
	defer unix.Close(fd)
	ask := request(size)
	start := time.Now()
	if _, err := unix.Write(fd, ask); err != nil {
		return 0, 0, err
	}
	got, room := int64(0), make([]byte, 4<<20)
	for {
		n, _, err := unix.Recvfrom(fd, room, unix.MSG_TRUNC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, 0, fmt.Errorf("after %d bytes: %w", got, err)
		}
		if n == 0 {
			break
		}
		got += int64(n)
	}
	took = time.Since(start)
	if want := int64(len(header(size))) + size; got != want {
		return 0, 0, fmt.Errorf("%d bytes came, want %d", got, want)
	}
	return got + int64(len(ask)), took, nil
}

// output runs a command in a host.
func output(l *lab.Lab, host string, argv ...string) (string, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := l.Run(host, cmd); err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, &said)
	}
	return out.String(), nil
}
