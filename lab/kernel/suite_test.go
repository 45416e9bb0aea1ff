package kernel_test

// suite is what is run of a package.
type suite struct {
	in   string // from the repository's root
	run  string // regular expressions of go test; "": all, none
	skip string
}

// shortSeries is the kernel of every run: the oldest that is supported has the
// strictest verifier and no TCX.
const shortSeries = "6.1"

var short = []suite{
	{in: "dataplane", run: "^(TestVerifierEffort|TestFirstPackets|TestClsactHoldsWhatItWasGiven)$"},
}

// long leaves out what only measures, compares at length or waits: emulated it
// would take hours, and other kernels change nothing in it.
var long = []suite{
	{in: "dataplane", skip: "LargeRuleSets|SwapIsSeenWhole|PacketsMeetWholePolicies|AgreesWithReference|AgreeWithTheirTable|MutatedFrames|TestFlowTableMemory|TestFastPathRewrites"},
	{in: "dataplane/netfilter"},
	{in: "dataplane/nfqueue"},
	{in: "dataplane/flow", run: "^Test"},
	{in: "dataplane/qos"},
	{in: "agent", run: "^(TestPolicyOnRealPackets|TestPolicyHoldsThroughKill|TestPolicyHoldsByClsact|TestRemoveOpensTheRouter|" +
		"TestLateInterfaceIsClosedThenJoins|TestPortForward|TestRejectedPacketsAreAnswered|TestMasqueradeHidesPrivateAddresses|" +
		"TestMSSIsClamped|TestZonesOfVLANs|TestTaggedFramesAreNotThePorts|TestFloodGuard|TestChangeCutsEstablishedFlow)$"},
}

// commands of this machine that tests start in the other.
var commands = []string{"ip", "tc", "nft", "iptables", "ping", "curl", "dig", "tcpdump", "iperf3", "ethtool", "sh", "sleep", "cat"}

// files that those commands read.
var files = []string{"/etc/protocols", "/etc/services", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf"}
