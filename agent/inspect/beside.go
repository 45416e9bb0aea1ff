package inspect

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ngfw.sh/agent/ruleset"
	"ngfw.sh/dataplane/ids/rule"
)

// beside finds the files that rules name: what came along with their set, and what datasets
// have saved here. Rules of a set see no other set's, and nothing else of the router.
type beside struct {
	dir  string
	data []map[string][]byte // by the number of the file of rules
	own  map[*rule.Rule]bool // rules of the document itself, which came with nothing
}

func newBeside(stateDir string) *beside {
	return &beside{dir: datasetDir(stateDir), own: map[*rule.Rule]bool{}}
}

// add takes the files of a set, in their order.
func (b *beside) add(set *ruleset.Set) {
	for range set.Files {
		b.data = append(b.data, set.Data)
	}
}

// open reads a file by its name alone: as the manual has it, rules write in one place and
// lead nowhere else ("Datasets", section "File Locations").
func (b *beside) open(r *rule.Rule, name string) ([]byte, error) {
	if !plain(name) {
		return nil, fmt.Errorf("%q is not a name of a file alone", name)
	}
	if text, err := os.ReadFile(filepath.Join(b.dir, name)); err == nil {
		return text, nil
	}
	if !b.own[r] && r.File < len(b.data) {
		if text, ok := b.data[r.File][name]; ok {
			return text, nil
		}
	}
	return nil, fmt.Errorf("%q came with no set: %w", name, fs.ErrNotExist)
}

// plain says whether a name leads to no other folder.
func plain(name string) bool {
	return name != "" && name != "." && name != ".." && filepath.Base(name) == name && len(name) < 128
}
