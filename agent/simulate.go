package agent

import (
	"ngfw.sh/policy"
)

// simulate says what would become of a packet under the image that is enforced.
func (a *Agent) simulate(p policy.Packet) (policy.Explanation, error) { return a.dataplane.Explain(p) }
