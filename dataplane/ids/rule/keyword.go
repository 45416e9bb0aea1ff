package rule

// keyword is what the parser knows of one. Aliases share the keyword of their
// canonical name.
type keyword struct {
	name    string // canonical
	value   valueMode
	parse   func(p *parser, o *option) error
	integer *integerSpec
	buffer  *BufferKind
}

// valueMode says whether a value follows the keyword.
type valueMode uint8

const (
	needsValue valueMode = iota
	noValue
	mayHaveValue
)

// refused are keywords of the language that are not supported, and why.
var refused = map[string]string{
	"lua":           "scripts are not supported",
	"luajit":        "scripts are not supported",
	"luaxform":      "scripts are not supported",
	"geoip":         "it needs a database of countries, and there is none",
	"ndpi-protocol": "nDPI is not part of the engine",
	"ndpi-risk":     "nDPI is not part of the engine",
	"flowvar":       "variables of the flow are written by captures and not read",
	"pktvar":        "variables of the packet are written by captures and not read",
	"config":        "rules that configure the engine are not supported",
}

// keywords are all that are known, aliases too. It is filled by init since
// parsers of keywords look at it (requires).
var keywords map[string]*keyword

func init() {
	keywords = make(map[string]*keyword, 640)
	add := func(k *keyword, aliases ...string) {
		for _, name := range append(aliases, k.name) {
			if keywords[name] != nil {
				panic("rule: two keywords are called " + name)
			}
			keywords[name] = k
		}
	}
	simple := func(value valueMode, parse func(*parser, *option) error, name string, aliases ...string) {
		add(&keyword{name: name, value: value, parse: parse}, aliases...)
	}
	simple(needsValue, parseMessage, "msg")
	simple(needsValue, parseSID, "sid")
	simple(needsValue, parseRevision, "rev")
	simple(needsValue, parseGID, "gid")
	simple(needsValue, parsePriority, "priority")
	simple(needsValue, parseClass, "classtype")
	simple(needsValue, parseReference, "reference")
	simple(needsValue, parseMetadata, "metadata")
	simple(needsValue, parseTarget, "target")
	simple(needsValue, parseRequires, "requires")
	simple(noValue, parseNoAlert, "noalert")
	simple(noValue, parseAlert, "alert")

	simple(needsValue, parseContent, "content")
	simple(needsValue, parseURIContent, "uricontent")
	simple(noValue, parseNoCase, "nocase")
	simple(noValue, parseStartsWith, "startswith")
	simple(noValue, parseEndsWith, "endswith")
	simple(noValue, parseRawBytes, "rawbytes")
	simple(needsValue, parseOffset, "offset")
	simple(needsValue, parseDepth, "depth")
	simple(needsValue, parseDistance, "distance")
	simple(needsValue, parseWithin, "within")
	simple(needsValue, parseReplace, "replace")
	simple(mayHaveValue, parseFastPattern, "fast_pattern")
	simple(noValue, parsePrefilter, "prefilter")
	for name := range contentModifiers {
		simple(noValue, parseContentModifier, name)
	}
	simple(needsValue, parsePCRE, "pcre")
	simple(needsValue, parseByteTest, "byte_test")
	simple(needsValue, parseByteJump, "byte_jump")
	simple(needsValue, parseByteExtract, "byte_extract")
	simple(needsValue, parseByteMath, "byte_math")
	simple(needsValue, parseDataAt, "isdataat")
	simple(needsValue, parseBSize, "bsize")
	simple(needsValue, parseURILen, "urilen", "http.urilen")
	simple(mayHaveValue, parseAbsent, "absent")
	simple(needsValue, parseEntropy, "entropy")
	simple(mayHaveValue, parseBase64Decode, "base64_decode")
	simple(needsValue, parseDataset, "dataset")
	simple(needsValue, parseDataRep, "datarep")

	for _, name := range plainTransforms {
		simple(noValue, parsePlainTransform, name)
	}
	simple(needsValue, parseXor, "xor")
	simple(needsValue, parsePCRETransform, "pcrexform")
	simple(mayHaveValue, parseFromBase64, "from_base64")
	simple(mayHaveValue, parseInflate, "gunzip")
	simple(mayHaveValue, parseInflate, "zlib_deflate")

	simple(needsValue, parseFlow, "flow")
	simple(needsValue, parseFlowCount, "flow.pkts")
	simple(needsValue, parseFlowCount, "flow.bytes")
	for _, name := range []string{"flow.pkts_toserver", "flow.pkts_toclient", "flow.bytes_toserver", "flow.bytes_toclient"} {
		simple(needsValue, parseFlowCount, name)
	}
	simple(needsValue, parseStreamSize, "stream_size")
	simple(needsValue, parseFlowBits, "flowbits")
	simple(needsValue, parseFlowInt, "flowint")
	simple(needsValue, parseXBits, "xbits")
	simple(needsValue, parseHostBits, "hostbits")
	simple(needsValue, parseIPRep, "iprep")
	simple(needsValue, parseThreshold, "threshold")
	simple(needsValue, parseDetectionFilter, "detection_filter")
	simple(needsValue, parseTCPFlags, "tcp.flags", "flags")
	simple(needsValue, parseFragBits, "fragbits")
	simple(needsValue, parseIPOption, "ipopts")
	simple(needsValue, parseIPProtocol, "ip_proto")
	for _, name := range []string{"app-layer-event", "decode-event", "stream-event", "engine-event"} {
		simple(needsValue, parseEvent, name)
	}
	simple(needsValue, parseAppProtocol, "app-layer-protocol")
	simple(needsValue, parseFileHash, "filemd5")
	simple(needsValue, parseFileHash, "filesha1")
	simple(needsValue, parseFileHash, "filesha256")
	simple(mayHaveValue, parseFileStore, "filestore")
	simple(needsValue, parseCertificateTime, "tls_cert_notbefore", "tls.cert_notbefore")
	simple(needsValue, parseCertificateTime, "tls_cert_notafter", "tls.cert_notafter")
	simple(mayHaveValue, parseTag, "tag")
	simple(noValue, parseBypass, "bypass")
	simple(noValue, parseStoreCertificate, "tls.store", "tls_store")
	simple(needsValue, parseSetMark, "nfq_set_mark")
	for name := range stringKeywords {
		simple(needsValue, parseString, name)
	}
	simple(needsValue, parseFrame, "frame")

	for name, spec := range integerKeywords {
		add(&keyword{name: name, parse: parseInteger, integer: spec})
	}
	for name, spec := range wordKeywords {
		mode := needsValue
		if spec.high == 0 {
			mode = noValue
		}
		add(&keyword{name: name, value: mode, parse: parseWords})
	}
	for _, kind := range bufferTable {
		if kind.Layer != FrameData {
			add(&keyword{name: kind.Name, value: mayHaveValue, parse: parseSticky, buffer: kind})
		}
	}
	for _, aliases := range []map[string]string{integerAliases, wordAliases, bufferAliases} {
		for alias, name := range aliases {
			if keywords[alias] != nil || keywords[name] == nil {
				panic("rule: the alias " + alias + " is taken or leads nowhere")
			}
			keywords[alias] = keywords[name]
		}
	}
}

func parseSticky(p *parser, o *option) error {
	kind := o.keyword.buffer
	if o.hasValue && (o.value != "to_server" && o.value != "to_client" || !kind.ToServer || !kind.ToClient || kind.Apps == 0) {
		if kind.Apps != 0 && kind.ToServer && kind.ToClient {
			return faultf(o.valueAt, "%s takes to_server, to_client or no value", o.name)
		}
		return faultf(o.valueAt, "%s takes no value", o.name)
	}
	return p.sticky(o, kind, "", o.value)
}

func parseFrame(p *parser, o *option) error {
	for i := range len(o.value) {
		c := o.value[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return faultf(o.valueAt, "%q cannot name a frame", o.value)
		}
	}
	frame := o.value
	// In full a frame's name begins with its protocol.
	for i := range len(frame) {
		if frame[i] != '.' {
			continue
		}
		if proto, ok := ParseProtocol(frame[:i]); ok && proto.IsApp() {
			if err := p.restrict(o.at, proto.Apps(), "frame:"+frame); err != nil {
				return err
			}
			return p.sticky(o, bufferKindByName["frame"], frame, "")
		}
		break
	}
	if !p.rule.Protocol.IsApp() {
		return faultf(o.valueAt, "the frame %s needs a protocol: frame:protocol.%s", frame, frame)
	}
	return p.sticky(o, bufferKindByName["frame"], p.rule.Protocol.String()+"."+frame, "")
}

// Keywords lists every keyword that a rule may have, aliases too.
func Keywords() []string {
	names := make([]string, 0, len(keywords))
	for name := range keywords {
		names = append(names, name)
	}
	return names
}
