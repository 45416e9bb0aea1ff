package kernel_test

// suite is what is run of a package.
type suite struct {
	in   string // from the repository's root
	run  string // regular expressions of go test; "": all, none
	skip string
}

// shortSeries is the kernel of every run.
const shortSeries = "6.12"

var short = []suite{
	{in: "dataplane", run: "^(TestVerifierEffort|TestFirstPackets)$"},
}

var long = []suite{
	{in: "dataplane"},
}

// commands of this machine that tests start in the other.
var commands = []string{"ip", "tc", "nft", "ping", "curl", "tcpdump", "iperf3", "ethtool", "sh", "sleep", "cat"}

// files that those commands read.
var files = []string{"/etc/protocols", "/etc/services", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf"}
