package traffic

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"time"

	"ngfw.sh/lab"
)

// activity is one thing that a client does.
type activity struct {
	name    string
	weight  int  // how often, against the others
	refused bool // a firewall with the factory policies refuses it
	act     func(context.Context, *lab.Lab) error
}

// Sizes of downloads, most of them small.
var sizes = []int{800, 2_000, 8_000, 20_000, 60_000, 150_000, 400_000}

// activities is what the clients do: lan1 most, lan2 some, iot1 little; the
// internet knocks, and iot1 tries what it should not.
var activities = []activity{
	{name: "lan1 http", weight: 20, act: download(lab.LAN1, "http", "web.lab.test", lab.IP4(lab.INET))},
	{name: "lan1 http6", weight: 8, act: download(lab.LAN1, "http", "web.lab.test", lab.IP6(lab.INET))},
	{name: "lan1 https", weight: 10, act: download(lab.LAN1, "https", "cdn.lab.test", lab.Far[0])},
	{name: "lan1 https6", weight: 4, act: download(lab.LAN1, "https", "video.lab.test", lab.Far[4])},
	{name: "lan1 upload", weight: 4, act: upload(lab.LAN1)},
	{name: "lan1 dns", weight: 12, act: resolve(lab.LAN1, lab.IP4(lab.INET), "web.lab.test", "www.lab.test", "cdn.lab.test", "video.lab.test", "gone.lab.test")},
	{name: "lan1 dns6", weight: 4, act: resolve(lab.LAN1, lab.IP6(lab.INET), "web.lab.test", "big.lab.test")},
	{name: "lan1 to lan2", weight: 2, act: ping(lab.LAN1, lab.IP4(lab.LAN2))},
	{name: "lan2 http", weight: 8, act: download(lab.LAN2, "http", "web.lab.test", lab.IP4(lab.INET))},
	{name: "lan2 https6", weight: 3, act: download(lab.LAN2, "https", "web.lab.test", lab.IP6(lab.INET))},
	{name: "lan2 dns", weight: 5, act: resolve(lab.LAN2, lab.Far[0], "mail.lab.test", "web.lab.test")},
	{name: "iot1 dns", weight: 6, act: resolve(lab.IOT1, lab.IP4(lab.INET), "updates.lab.test")},
	{name: "iot1 https", weight: 4, act: download(lab.IOT1, "https", "updates.lab.test", lab.Far[2])},
	{name: "iot1 https6", weight: 2, act: download(lab.IOT1, "https", "updates.lab.test", lab.Far[5])},
	{name: "iot1 into lan", weight: 3, refused: true, act: connect(lab.IOT1, lab.IP4(lab.LAN1), 22, 80, 445)},
	{name: "iot1 into lan, v6", weight: 1, refused: true, act: connect(lab.IOT1, lab.IP6(lab.LAN1), 22, 8080)},
	{name: "scan of wan", weight: 3, refused: true, act: connect(lab.INET, lab.IP4(lab.RTR), 21, 22, 23, 80, 443, 3389, 8080, 8291)},
	{name: "scan of wan, v6", weight: 1, refused: true, act: connect(lab.INET, lab.IP6(lab.RTR), 22, 80, 443)},
	{name: "inet into lan, v6", weight: 1, refused: true, act: connect(lab.INET, lab.IP6(lab.LAN2), 22, 443)},
}

var totalWeight = func() (sum int) {
	for _, a := range activities {
		sum += a.weight
	}
	return sum
}()

// pick draws an activity by weight.
func pick() activity {
	n := rand.IntN(totalWeight)
	for _, a := range activities {
		if n -= a.weight; n < 0 {
			return a
		}
	}
	panic("unreachable: weights sum to totalWeight")
}

// download fetches one or two objects over one connection.
func download(host, scheme, name string, addr netip.Addr) func(context.Context, *lab.Lab) error {
	return func(ctx context.Context, l *lab.Lab) error {
		port := map[string]string{"http": "80", "https": "443"}[scheme]
		argv := []string{"curl", "--silent", "--fail", "--insecure", "--connect-timeout", "3", "--max-time", "8",
			"--resolve", fmt.Sprintf("%s:%s:%s", name, port, bracketed(addr))}
		for range 1 + rand.IntN(2) {
			argv = append(argv, "--output", "/dev/null", fmt.Sprintf("%s://%s/bytes/%d", scheme, name, sizes[rand.IntN(len(sizes))]))
		}
		return command(host, argv...)(ctx, l)
	}
}

func upload(host string) func(context.Context, *lab.Lab) error {
	return command(host, "curl", "--silent", "--fail", "--connect-timeout", "3", "--max-time", "8", "--output", "/dev/null",
		"--form", "file=@/etc/services", "http://"+bracketed(lab.IP4(lab.INET))+"/upload")
}

func resolve(host string, server netip.Addr, names ...string) func(context.Context, *lab.Lab) error {
	return func(ctx context.Context, l *lab.Lab) error {
		kind := []string{"A", "AAAA", "TXT"}[rand.IntN(3)]
		return command(host, "dig", "+tries=1", "+time=2", "+short", "-r", "@"+server.String(), names[rand.IntN(len(names))], kind)(ctx, l)
	}
}

func ping(host string, to netip.Addr) func(context.Context, *lab.Lab) error {
	return command(host, "ping", "-q", "-c", "2", "-i", "0.2", "-W", "1", to.String())
}

// connect tries one of the ports by TCP.
func connect(host string, to netip.Addr, ports ...int) func(context.Context, *lab.Lab) error {
	return func(ctx context.Context, l *lab.Lab) error {
		port := ports[rand.IntN(len(ports))]
		ctx, cancel := context.WithTimeout(ctx, 1500*time.Millisecond)
		defer cancel()
		return l.In(host, func() error {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(to.String(), strconv.Itoa(port)))
			if err != nil {
				return err
			}
			return conn.Close()
		})
	}
}

// bulkTransfer is a second of iperf3 at a bounded rate.
func bulkTransfer() activity {
	reverse := [][]string{nil, {"--reverse"}, {"--udp"}}[rand.IntN(3)]
	argv := append([]string{"iperf3", "--client", lab.IP4(lab.INET).String(), "--connect-timeout", "2000", "--time", "1", "--bitrate", "20M"}, reverse...)
	return activity{name: "lan1 bulk", act: command(lab.LAN1, argv...)}
}

func bracketed(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}
