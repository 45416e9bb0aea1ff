// Package bench owns what all benchmarks have in common: the shape of a result,
// the table that people read and the file that programs read.
//
// A benchmark measures the rival in the same run as ours, on the same machine,
// with the same input; a figure without that is no comparison.
package bench

// Better says which way a figure should go.
type Better string

const (
	Lower  Better = "lower"
	Higher Better = "higher"
)

// Result is one figure. Nothing of it may be left to taste: OK follows from the
// figures.
type Result struct {
	Name       string   `json:"name"`
	Value      float64  `json:"value"`
	Unit       string   `json:"unit"`
	Better     Better   `json:"better"`
	Rival      *string  `json:"rival"`
	RivalValue *float64 `json:"rival_value"`
	Ratio      *float64 `json:"ratio"` // above 1: ours is better
	Floor      *float64 `json:"floor"` // bounds ratio where there is a rival, else value
	OK         bool     `json:"ok"`
	Note       string   `json:"note"`
}

// Figure is a result without a rival.
func Figure(name string, value float64, unit string, better Better) Result {
	return Result{Name: name, Value: value, Unit: unit, Better: better}.judged()
}

// Against compares the result with a rival's figure of the same run.
func (r Result) Against(rival string, value float64) Result {
	ratio := 0.0
	switch {
	case r.Better == Lower && r.Value > 0:
		ratio = value / r.Value
	case r.Better == Higher && value > 0:
		ratio = r.Value / value
	}
	r.Rival, r.RivalValue, r.Ratio = &rival, &value, &ratio
	return r.judged()
}

// AtLeast sets the floor: the ratio to hold where there is a rival, else the
// value not to be missed (for Lower, not to be exceeded).
func (r Result) AtLeast(floor float64) Result {
	r.Floor = &floor
	return r.judged()
}

// Noting adds a remark.
func (r Result) Noting(note string) Result {
	r.Note = note
	return r
}

func (r Result) judged() Result {
	switch {
	case r.Floor == nil:
		r.OK = true
	case r.Ratio != nil:
		r.OK = *r.Ratio >= *r.Floor
	case r.Better == Lower:
		r.OK = r.Value <= *r.Floor
	default:
		r.OK = r.Value >= *r.Floor
	}
	return r
}
