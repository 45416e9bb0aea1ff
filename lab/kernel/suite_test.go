package kernel_test

// suite is what is run of a package.
type suite struct {
	in   string // from the repository's root
	run  string // regular expressions of go test; "": all, none
	skip string
	only string // of these series; "": of all
}

// shortSeries is the kernel of every run: the oldest that is supported has the
// strictest verifier and no TCX.
const shortSeries = "6.1"

var short = []suite{
	{in: "dataplane", run: "^(TestVerifierEffort|TestFirstPackets|TestClsactHoldsWhatItWasGiven)$"},
}

// long leaves out what only measures, compares at length or waits: emulated it
// would take hours, and other kernels change nothing in it. An agent's start alone,
// its programs past the verifier, is half a minute.
var long = []suite{
	{in: "dataplane", skip: "LargeRuleSets|SwapIsSeenWhole|PacketsMeetWholePolicies|AgreesWithReference|AgreeWithTheirTable|MutatedFrames|TestFlowTableMemory|TestFastPathRewrites|" +
		// What the same instructions do with the same bytes, once the verifier has let them pass.
		"EveryBeginning|Malformed|OtherFrames|TestTraceAgrees|TestTraceFilters|TestTraceEnds|TestCounters|LongLeaves|FastPathFinds|CountsNoFurther|FastPathForgets|" +
		"ScheduleWithout|ScheduleBeyond|ScheduledDrop|CloudConnection|ChangedZone|ListsSpare|ListsEnd|KeepsZones"},
	{in: "dataplane/netfilter"},
	{in: "dataplane/nfqueue"},
	{in: "dataplane/flow", run: "^Test"},
	{in: "dataplane/qos"},
	{in: "dataplane/subsystem"},
	{in: "agent", run: "^(TestDoctorTellsOfThisKernel|TestPolicyOnRealPackets|TestMatcherBehindTheQueue|TestZonesOfVLANs|TestTaggedFramesAreNotThePorts|" +
		"TestQueuesUnderTraffic|TestPortForward|TestMasqueradeHidesPrivateAddresses|TestMSSIsClamped|TestFloodGuard|" +
		"TestLateInterfaceIsClosedThenJoins|TestRemoveOpensTheRouter)$"},
	// What holds while no agent runs: by filters before TCX, by links since.
	{in: "agent", run: "^TestPolicyHoldsByClsact$", only: "6.1"},
	{in: "agent", run: "^TestPolicyHoldsThroughKill$", only: "6.12"},
}

// commands of this machine that tests start in the other.
var commands = []string{"ip", "tc", "nft", "iptables", "ping", "curl", "dig", "tcpdump", "iperf3", "ethtool", "sysctl", "sh", "sleep", "cat"}

// files that those commands read.
var files = []string{"/etc/protocols", "/etc/services", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf"}
