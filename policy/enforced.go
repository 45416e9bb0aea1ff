package policy

const notYet = "is not enforced yet: remove it or disable the rule"

// CheckEnforced reports, by path, what a valid policy asks for and the packet
// programs do not do. Such a policy is refused as a whole: nothing is stored
// and then ignored.
func CheckEnforced(p Policy) error {
	var found findings
	checkNATEnforced(&found, &p)
	return found.err()
}
