package rule

// ThresholdEntry is a line of threshold.config: it changes how rules alert
// without changing them. One of its last three fields is set.
type ThresholdEntry struct {
	GID      uint32 // 0: every rule
	SID      uint32 // 0: every rule of the gid
	Limit    *Threshold
	Suppress *Suppression
	Rate     *RateFilter
}

// Suppression drops alerts, all or those of some addresses.
type Suppression struct {
	Track     Track      // BySource, ByDestination or ByEither
	Addresses *Addresses // nil: all, and Track does not count
}

// RateFilter gives a rule another action, for Timeout seconds after it matched
// more than Count times in Seconds.
type RateFilter struct {
	Track          Track
	Count, Seconds uint32
	Action         Action
	Timeout        uint32 // 0: until the rules are loaded again
}

// ParseThresholds reads threshold.config. Variables of addresses must have a
// value. What is wrong with a line costs that line alone.
func ParseThresholds(f File, vars Variables) ([]ThresholdEntry, []*Error) {
	var entries []ThresholdEntry
	resolver := NewResolver(vars)
	problems := eachLine(f, func(s string, at int) error {
		e, err := readThresholdEntry(s, at, resolver)
		if err == nil {
			entries = append(entries, e)
		}
		return err
	})
	return entries, problems
}

func readThresholdEntry(s string, at int, resolver *Resolver) (ThresholdEntry, error) {
	var e ThresholdEntry
	kind, rest := word(s)
	at += len(s) - len(rest)
	gid, rest, more := part(rest)
	if !more {
		return e, faultf(at, "an entry is written %s gen_id n, sig_id n and options", kind)
	}
	sid, options, more := part(rest)
	var err error
	if e.GID, err = identifier(gid, "gen_id", at); err != nil {
		return e, err
	}
	if e.SID, err = identifier(sid, "sig_id", at); err != nil {
		return e, err
	}
	if e.GID == 0 && e.SID != 0 {
		return e, faultf(at, "gen_id 0 stands for every rule: sig_id is 0 then")
	}
	switch kind {
	case "threshold", "event_filter":
		e.Limit, err = readThreshold(options, at)
	case "suppress":
		e.Suppress, err = readSuppression(options, more, at, resolver)
	case "rate_filter":
		e.Rate, err = readRateFilter(options, at)
	default:
		err = faultf(at, "%q is none of threshold, event_filter, suppress and rate_filter", kind)
	}
	return e, err
}

func identifier(s, key string, at int) (uint32, error) {
	name, value := word(s)
	v, ok := number(value)
	if name != key || !ok || v > 1<<32-1 {
		return 0, faultf(at, "%q is not %s and a number", s, key)
	}
	return uint32(v), nil
}

func readSuppression(s string, more bool, at int, resolver *Resolver) (*Suppression, error) {
	x := &Suppression{}
	if !more {
		return x, nil
	}
	track, rest, more := part(s)
	key, side := word(track)
	i, ok := indexOf(trackNames, side)
	x.Track = Track(i)
	if key != "track" || !ok || x.Track != BySource && x.Track != ByDestination && x.Track != ByEither {
		return nil, faultf(at, "%q is not track by_src, by_dst or by_either", track)
	}
	key, addresses := word(rest)
	if !more || key != "ip" {
		return nil, faultf(at, "a suppression that tracks names addresses: ip and an expression")
	}
	// A list needs no brackets here.
	expression, err := parseAddresses("["+addresses+"]", at)
	if err != nil {
		return nil, err
	}
	if len(expression.root.list) == 1 {
		expression.root = expression.root.list[0]
	}
	if _, err := resolver.Addresses(expression); err != nil {
		return nil, faultf(at, "%s", err)
	}
	x.Addresses = expression
	return x, nil
}

func readRateFilter(s string, at int) (*RateFilter, error) {
	l, err := readLimits(s, at, "rate_filter", "track", "count", "seconds", "new_action", "timeout")
	if err == nil {
		err = l.need(at, "rate_filter", "track", "count", "seconds", "new_action", "timeout")
	}
	if err != nil {
		return nil, err
	}
	return &RateFilter{l.track, l.count, l.seconds, l.action, l.timeout}, nil
}
