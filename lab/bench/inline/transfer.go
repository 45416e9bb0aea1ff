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
	at       int64 // of the body, where the last page began; one connection at a time
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
	return fmt.Appendf(nil, "GET /page?size=%d HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n", size)
}

func header(size int64) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n", size)
}

// answer sends what each request asks for. An error shows at the client.
func (s *server) answer(conn *net.TCPConn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		first, err := in.ReadString('\n')
		if err != nil {
			return
		}
		var size int64
		if _, err := fmt.Sscanf(first, "GET /page?size=%d HTTP/1.1", &size); err != nil {
			return
		}
		for line := first; strings.TrimSpace(line) != ""; {
			if line, err = in.ReadString('\n'); err != nil {
				return
			}
		}
		if err := s.page(conn, size); err != nil {
			return
		}
	}
}

func (s *server) page(conn *net.TCPConn, size int64) error {
	if _, err := conn.Write(header(size)); err != nil {
		return err
	}
	for left := size; left > 0; {
		// Each from another place, so that pages differ.
		if left == size {
			s.at = (s.at + 4099) % max(s.length-size, 1)
		} else {
			s.at = 0
		}
		if _, err := s.body.Seek(s.at, io.SeekStart); err != nil {
			return err
		}
		n, err := conn.ReadFrom(io.LimitReader(s.body, min(left, s.length-s.at)))
		if err != nil || n == 0 {
			return errors.Join(err, io.ErrUnexpectedEOF)
		}
		left -= n
	}
	return nil
}

// fetch transfers a number of pages to lan1 over one connection, asking for the next ones before it
// has the first. It gives what both ends have sent, and the time from the first request to the last byte.
func (s *server) fetch(l *lab.Lab, page, pages int64) (sent int64, took time.Duration, err error) {
	var fd int
	err = l.In(lab.LAN1, func() error {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		// Nothing that goes wrong may last.
		limit := unix.NsecToTimeval(int64(30 * time.Second))
		err := errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit),
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
	ask, want := request(page), (int64(len(header(page)))+page)*pages
	const ahead = 16
	start := time.Now()
	got, asked, room := int64(0), int64(0), make([]byte, 4<<20)
	for got < want {
		for asked < pages && asked*page < got+ahead*page {
			n := min(pages-asked, ahead/2)
			if _, err := unix.Write(fd, bytes.Repeat(ask, int(n))); err != nil {
				return 0, 0, fmt.Errorf("ask for page %d: %w", asked, err)
			}
			asked += n
		}
		n, _, err := unix.Recvfrom(fd, room, unix.MSG_TRUNC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, 0, fmt.Errorf("after %d bytes: %w", got, err)
		}
		got += int64(n)
	}
	if got != want {
		return 0, 0, fmt.Errorf("%d bytes came, want %d", got, want)
	}
	return got + int64(len(ask))*pages, time.Since(start), nil
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
