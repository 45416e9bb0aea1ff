// Package importrules holds, as a test, who may import whom in this repository
// and what its files never name. Its only content is that test.
package importrules
