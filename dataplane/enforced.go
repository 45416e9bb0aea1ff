package dataplane

import (
	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
)

// ErrNoPolicy says that no packet is judged yet.
var ErrNoPolicy = fault.New(fault.Conflict, "no policy is enforced yet")

// Explain says what would become of a packet, and why, by asking the enforced
// image. Nothing is counted or remembered.
func (d *Dataplane) Explain(p policy.Packet) (policy.Explanation, error) {
	d.mu.Lock() // image and slot belong together
	defer d.mu.Unlock()
	c, err := d.settings()
	if err != nil {
		return policy.Explanation{}, err
	}
	if d.image == nil || c.Active == 0 {
		return policy.Explanation{}, ErrNoPolicy
	}
	question, ok := d.image.Packet(p)
	if !ok { // no wire can carry it, so there is nothing to ask
		return d.image.Explain(p, d.image.JudgePacket(p)), nil
	}
	if c.ClockSet == 0 {
		question.Time = 0
	}
	v, err := d.sim.judge(activeSlot(c), question)
	if err != nil {
		return policy.Explanation{}, err
	}
	if v.Decider != policy.NewDecider(policy.DeciderReason, uint32(policy.DropMalformed)) && isCloud(question, c) {
		v = policy.Verdict{Action: policy.Accept, Decider: policy.NewDecider(policy.DeciderSystem, uint32(policy.SystemCloud))}
	}
	return d.image.Explain(p, v), nil
}

// isCloud finds the agent's own connection, which enforcement accepts before it
// asks the image (is_cloud in bpf/lib/verdict.h).
func isCloud(p policy.ImagePacket, c bpfobj.TcConfig) bool {
	return p.From == policy.ZoneIndexSelf && p.Protocol == policy.ProtocolTCP &&
		c.CloudPort != 0 && networkOrder(p.Port) == c.CloudPort && p.Destination == c.CloudAddr
}
