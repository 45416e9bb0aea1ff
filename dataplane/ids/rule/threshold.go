package rule

// ThresholdType is how a threshold limits.
type ThresholdType uint8

const (
	Limit          ThresholdType = iota // at most Count alerts in Seconds
	EveryCount                          // one alert every Count matches in Seconds: type threshold
	LimitAfterMany                      // one alert in Seconds, once there were Count matches: type both
	Backoff                             // alerts at Count, Count*Multiplier, … matches
)

var thresholdTypes = []string{"limit", "threshold", "both", "backoff"}

// Threshold limits how often a rule alerts.
type Threshold struct {
	Type       ThresholdType
	Track      Track
	Count      uint32
	Seconds    uint32
	Multiplier uint32 // of Backoff, which has no Seconds
}

// DetectionFilter lets a rule match only after Count matches in Seconds.
type DetectionFilter struct {
	Track    Track
	Count    uint32
	Seconds  uint32
	UniqueOn UniqueOn
}

// UniqueOn says what a DetectionFilter counts different values of.
type UniqueOn uint8

const (
	CountMatches UniqueOn = iota
	CountSourcePorts
	CountDestinationPorts
)

var uniqueNames = []string{"", "src_port", "dst_port"}

// limits are the options that thresholds and filters are made of.
type limits struct {
	given                      map[string]bool
	typ                        ThresholdType
	track                      Track
	count, seconds, multiplier uint32
	unique                     UniqueOn
	action                     Action
	timeout                    uint32
}

// readLimits reads options as far as they are among allowed.
func readLimits(s string, at int, keyword string, allowed ...string) (limits, error) {
	l := limits{given: map[string]bool{}}
	for more := true; more; {
		var item string
		item, s, more = part(s)
		key, value := word(item)
		if _, ok := indexOf(allowed, key); !ok {
			return l, faultf(at, "%s has no option %q", keyword, item)
		}
		if l.given[key] {
			return l, faultf(at, "%s is given twice", key)
		}
		l.given[key] = true
		ok, i := false, 0
		switch key {
		case "type":
			i, ok = indexOf(thresholdTypes, value)
			l.typ = ThresholdType(i)
		case "track":
			i, ok = indexOf(trackNames, value)
			l.track = Track(i)
			ok = ok && l.track != ByEither
		case "unique_on":
			i, ok = indexOf(uniqueNames, value)
			l.unique = UniqueOn(i)
			ok = ok && i > 0
		case "new_action":
			l.action, ok = parseAction(value)
		case "count":
			l.count, ok = seconds(value)
			ok = ok && l.count > 0
		case "seconds":
			l.seconds, ok = seconds(value)
			ok = ok && l.seconds > 0
		case "timeout":
			l.timeout, ok = seconds(value)
		case "multiplier":
			l.multiplier, ok = seconds(value)
			ok = ok && l.multiplier > 1
		}
		if !ok {
			return l, faultf(at, "%q is no %s of a %s", value, key, keyword)
		}
	}
	return l, nil
}

func (l *limits) need(at int, keyword string, keys ...string) error {
	for _, key := range keys {
		if !l.given[key] {
			return faultf(at, "%s needs %s", keyword, key)
		}
	}
	return nil
}

func readThreshold(s string, at int) (*Threshold, error) {
	l, err := readLimits(s, at, "threshold", "type", "track", "count", "seconds", "multiplier")
	if err != nil {
		return nil, err
	}
	if err := l.need(at, "threshold", "type", "track", "count"); err != nil {
		return nil, err
	}
	if l.typ == Backoff {
		if err := l.need(at, "threshold of the type backoff", "multiplier"); err != nil {
			return nil, err
		}
		if l.track != ByFlow || l.given["seconds"] {
			return nil, faultf(at, "a threshold of the type backoff tracks by_flow and has no seconds")
		}
	} else {
		if l.given["multiplier"] {
			return nil, faultf(at, "multiplier is of the type backoff alone")
		}
		if err := l.need(at, "threshold", "seconds"); err != nil {
			return nil, err
		}
	}
	return &Threshold{l.typ, l.track, l.count, l.seconds, l.multiplier}, nil
}

func parseThreshold(p *parser, o *option) error {
	if p.rule.Threshold != nil || p.rule.Filter != nil {
		return faultf(o.at, "a rule has only one threshold or detection_filter")
	}
	var err error
	p.rule.Threshold, err = readThreshold(o.value, o.valueAt)
	return err
}

func (t *Threshold) print(b []byte) []byte {
	b = append(append(b, "threshold:type "...), thresholdTypes[t.Type]...)
	b = append(append(b, ", track "...), trackNames[t.Track]...)
	b = appendUint(append(b, ", count "...), uint64(t.Count))
	if t.Type == Backoff {
		return appendUint(append(b, ", multiplier "...), uint64(t.Multiplier))
	}
	return appendUint(append(b, ", seconds "...), uint64(t.Seconds))
}

func parseDetectionFilter(p *parser, o *option) error {
	if p.rule.Threshold != nil || p.rule.Filter != nil {
		return faultf(o.at, "a rule has only one threshold or detection_filter")
	}
	l, err := readLimits(o.value, o.valueAt, "detection_filter", "track", "count", "seconds", "unique_on")
	if err != nil {
		return err
	}
	if err := l.need(o.valueAt, "detection_filter", "track", "count", "seconds"); err != nil {
		return err
	}
	if l.unique != CountMatches && p.rule.Protocol.Transports() == 0 || l.unique != CountMatches && p.rule.Protocol == IP {
		return faultf(o.valueAt, "unique_on is about ports, which %s has not", p.rule.Protocol)
	}
	p.rule.Filter = &DetectionFilter{l.track, l.count, l.seconds, l.unique}
	return nil
}

func (f *DetectionFilter) print(b []byte) []byte {
	b = append(append(b, "detection_filter:track "...), trackNames[f.Track]...)
	b = appendUint(append(b, ", count "...), uint64(f.Count))
	b = appendUint(append(b, ", seconds "...), uint64(f.Seconds))
	if f.UniqueOn != CountMatches {
		b = append(append(b, ", unique_on "...), uniqueNames[f.UniqueOn]...)
	}
	return b
}
