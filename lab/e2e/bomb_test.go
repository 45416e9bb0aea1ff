package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"ngfw.sh/lab"
)

// bombRules look into unpacked bodies.
const bombRules = `alert http any any -> any any (msg:"BOMB 1"; flow:established,to_client; file.data; content:"no such text anywhere"; sid:901;)
alert http any any -> any any (msg:"BOMB 2"; flow:established,to_client; http.response_body; content:"|00 00 00 00|"; pcre:"/(\x00+)+evil/"; sid:902;)
`

// bombs through the queue: answers that unpack to a gigabyte each cost others nothing, nor memory.
func (r *run) bombs(t *testing.T) {
	answer, unpacks := bomb(t)
	at := r.serveAnswer(t, answer)
	before := r.matcher(t)
	lost := r.pinging()
	began := time.Now()
	for range 3 {
		c := r.connectTo(t, lab.LAN1, at)
		c.say(t, "GET /bomb HTTP/1.1\r\nHost: bomb.example\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(readyLimit))
		if n, err := io.Copy(io.Discard, c); err != nil || n < int64(len(answer)) {
			t.Errorf("%d of %d bytes came: %v", n, len(answer), err)
		}
	}
	t.Logf("3 answers of %d kB that unpack to %d MB each took %v", len(answer)>>10, unpacks>>20, time.Since(began).Round(time.Millisecond))
	if n, all := lost(t); n > all/20+1 {
		t.Errorf("%d of %d packets of another flow are lost meanwhile", n, all)
	}
	if peak := r.peak(t, "agent"); peak > 600 {
		t.Errorf("the agent has taken %d MB", peak)
	}
	s := r.matcher(t)
	for _, q := range s.Queues {
		if q.QueueDropped+q.SocketDropped+q.Missed > 0 {
			t.Errorf("%+v", q)
		}
	}
	if s.InspectedBytes-before.InspectedBytes < 3*uint64(len(answer)) {
		t.Errorf("the bombs did not go through the matcher whole: %+v", s)
	}
}

// bomb is an answer whose body is members of gzip, of zeros.
func bomb(t *testing.T) (answer []byte, unpacks int) {
	t.Helper()
	const member, members = 16 << 20, 64
	var one bytes.Buffer
	w, err := gzip.NewWriterLevel(&one, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, member)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat(one.Bytes(), members)
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", len(body))
	return append([]byte(head), body...), member * members
}

// serveAnswer has a server in inet answer a request of each connection, whenever it comes.
func (r *run) serveAnswer(t *testing.T, answer []byte) (address string) {
	t.Helper()
	var l net.Listener
	err := r.lab.In(lab.INET, func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(lab.IP4(lab.INET).String(), "0"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					c.Write(answer)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// peak is the most memory that a service's process has had, in MB.
func (r *run) peak(t *testing.T, service string) (mb int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.process(service).PID))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &mb); err == nil {
			return mb >> 10
		}
	}
	t.Fatal("the kernel does not say how much memory it has")
	return 0
}
