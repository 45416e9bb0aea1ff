package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
)

// Table writes results for people.
func Table(w io.Writer, area string, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\tours\trival\tratio\tfloor\t\t\n", area)
	for _, r := range results {
		rival, ratio, floor, verdict := "", "", "", ""
		if r.Rival != nil {
			rival = fmt.Sprintf("%s %s", number(*r.RivalValue), *r.Rival)
			ratio = fmt.Sprintf("%.2f×", *r.Ratio)
		}
		if r.Floor != nil {
			floor, verdict = number(*r.Floor), "ok"
			if r.Ratio != nil {
				floor += "×"
			}
			if !r.OK {
				verdict = "MISSED"
			}
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\t%s\t%s\t%s\n", r.Name, number(r.Value), r.Unit, rival, ratio, floor, verdict, r.Note)
	}
	return t.Flush()
}

// number keeps three digits that mean something.
func number(v float64) string {
	switch {
	case v >= 100 || v == float64(int64(v)):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// Write writes results for programs: DIR/AREA.json, replaced as a whole.
func Write(dir, area string, results []Result) error {
	if results == nil {
		results = []Result{}
	}
	data, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, area+".json")
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
