package traffic

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"ngfw.sh/lab"
)

// The capture holds what lan1 sends, frame by frame, with its addresses and
// those of the router's port lan1, which are the same in every lab.
//
//go:generate go test -run TestCapture -update .
//go:embed capture/lan1.pcap
var capture []byte

// frame is one recorded frame and when it is due after the start.
type frame struct {
	after time.Duration
	data  []byte
}

func recorded() ([]frame, error) {
	r, err := pcapgo.NewReader(bytes.NewReader(capture))
	if err != nil {
		return nil, fmt.Errorf("read the capture: %w", err)
	}
	var frames []frame
	var start time.Time
	for {
		data, info, err := r.ReadPacketData()
		if err == io.EOF {
			return frames, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the capture: %w", err)
		}
		if len(frames) == 0 {
			start = info.Timestamp
		}
		frames = append(frames, frame{info.Timestamp.Sub(start), data})
	}
}

// replayFrames sends the capture out of lan1 in its own time.
func replayFrames(frames []frame) func(context.Context, *lab.Lab) error {
	return func(ctx context.Context, l *lab.Lab) error {
		fd, index := -1, 0
		err := l.In(lab.LAN1, func() error {
			port, err := net.InterfaceByName(lab.HostPort)
			if err != nil {
				return err
			}
			index = port.Index
			// Protocol 0: a socket that only sends.
			fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
			return err
		})
		if err != nil {
			return fmt.Errorf("open a packet socket: %w", err)
		}
		defer unix.Close(fd)
		begin := time.Now()
		for _, f := range frames {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Until(begin.Add(f.after))):
			}
			if err := unix.Sendto(fd, f.data, 0, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
				return fmt.Errorf("send a frame: %w", err)
			}
		}
		return nil
	}
}
