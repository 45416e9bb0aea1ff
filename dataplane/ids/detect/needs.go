package detect

import "ngfw.sh/dataplane/ids/rule"

// NeedsSums says whether rules look at digests of files, which are computed only then.
func NeedsSums(rules []*rule.Rule) bool {
	for _, r := range rules {
		for _, c := range r.Conditions {
			if _, ok := c.(*rule.FileHash); ok {
				return true
			}
		}
	}
	return false
}
