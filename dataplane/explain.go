package dataplane

import "ngfw.sh/policy"

// Answers are the reference evaluator's and the program's word on one packet.
type Answers struct {
	Reference      policy.Result
	ReferenceError error
	Program        policy.Result
	ProgramError   error
}

// Agree says whether both answered, and the same.
func (a Answers) Agree() bool {
	return a.ReferenceError == nil && a.ProgramError == nil && a.Reference == a.Program
}

// Evaluate asks both about every packet, under a policy that is enforced
// nowhere. Interfaces need not exist. Where the program cannot be asked (no
// privilege, or something it does not enforce), ProgramError says why.
func Evaluate(p policy.Policy, env policy.Env, packets []policy.Packet) []Answers {
	answers := make([]Answers, len(packets))
	im, err := policy.Compile(p, env)
	var s *Simulator
	if err == nil {
		s, err = NewSimulator(im)
	}
	if s != nil {
		defer s.Close()
	}
	for i, packet := range packets {
		a := &answers[i]
		a.Reference, a.ReferenceError = policy.Evaluate(p, env, packet)
		if err != nil {
			a.ProgramError = err
			continue
		}
		a.Program, a.ProgramError = ask(s, im, packet)
	}
	return answers
}

func ask(s *Simulator, im *policy.Image, packet policy.Packet) (policy.Result, error) {
	question, ok := im.Packet(packet)
	if !ok {
		// No wire can carry two families in one header; the parser never sees it.
		return im.JudgePacket(packet).Result(), nil
	}
	v, err := s.Judge(question)
	if err != nil {
		return policy.Result{}, err
	}
	return v.Result(), nil
}
