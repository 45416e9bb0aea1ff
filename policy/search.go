package policy

// step is one of a list of decisions that are tried in order. Without an action
// it takes packets out of the question.
type step struct {
	region *region
	action Action
}

// search looks for packets by cutting regions along the steps that they meet. It
// is exact; its work is bounded.
type search struct {
	left  int // comparisons of regions that it may still make
	stack []step
}

// spend is false when the bound is reached; answers mean nothing from then on.
func (s *search) spend(n int) bool {
	s.left -= n
	return s.left >= 0
}

func (s *search) exhausted() bool { return s.left < 0 }

// differs finds a part of f, all of it alike, that steps and then fallback
// decide otherwise than want. It is not found where every packet of f is decided
// so or is out of the question, or where the search is exhausted.
func (s *search) differs(f region, steps []step, fallback, want Action) (region, bool) {
	mark := len(s.stack)
	defer func() { s.stack = s.stack[:mark] }()
	if !s.spend(len(steps) + 1) {
		return f, false
	}
	hope := false // that something differs
	for _, step := range steps {
		if !step.region.meets(&f) {
			continue
		}
		differs := step.action != "" && step.action != want
		if len(s.stack) == mark && differs {
			return f.common(step.region), true // nothing before it meets f
		}
		hope = hope || differs
		if step.region.covers(&f) {
			if !hope {
				return f, false
			}
			fallback = step.action
			if !differs {
				fallback = want
			}
			break
		}
		s.stack = append(s.stack, step)
	}
	meeting := s.stack[mark:]
	switch {
	case !hope && fallback == want:
		return f, false
	case len(meeting) == 0:
		return f, true
	}
	for piece := range f.outside(meeting[0].region) {
		if found, ok := s.differs(piece, meeting[1:], fallback, want); ok {
			return found, true
		}
	}
	return f, false
}

// outside finds a part of f that no step decides: a familiar packet, if one will
// do.
func (s *search) outside(f region, family int, steps []step) (region, bool) {
	const undecided = Action("undecided")
	if point, _, _ := regionOf(packetOf(f, family, "", "")); f.covers(&point) {
		if found, ok := s.differs(point, steps, undecided, Accept); ok {
			return found, true
		}
	}
	return s.differs(f, steps, undecided, Accept)
}
