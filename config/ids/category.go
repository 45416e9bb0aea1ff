package ids

// Category is what a router does with rules of a kind.
type Category struct {
	ID      string `json:"id"`
	Enabled bool   `json:"enabled"`
	Mode    Mode   `json:"mode"` // disabled exactly when not enabled
}

// Kind describes a category.
type Kind struct{ ID, Name, Description string }

// Catalogue has every category. Rules belong to one by their classtype.
var Catalogue = []Kind{
	{"malware", "Malware", "Trojans, downloads of malicious programs, credential theft, unwanted programs, mining."},
	{"exploits", "Exploits", "Attempts to take over a system: shell code, privilege gain, exploit kits."},
	{"dos", "Denial of service", "Attempts to make a service unavailable."},
	{"policy-violation", "Policy violations", "What is no attack and yet may not be wanted: chat, games, file sharing."},
	{"suspicious", "Suspicious", "What is odd: protocol anomalies, strange strings and log-ins, unclassified rules."},
	{"web-attacks", "Web attacks", "Attacks on web servers and applications."},
	{"reconnaissance", "Reconnaissance", "Scans and leaks of information."},
	{"botnet", "Botnet", "Talk with command and control servers."},
}

// classes maps the classtypes that differ from suspicious. The names are those of
// the classification.config that public rule sets agree on.
var classes = map[string]string{
	"trojan-activity": "malware", "credential-theft": "malware", "coin-mining": "malware", "pup-activity": "malware",
	"social-engineering": "malware", "targeted-activity": "malware", "suspicious-filename-detect": "malware",

	"attempted-user": "exploits", "unsuccessful-user": "exploits", "successful-user": "exploits", "attempted-admin": "exploits",
	"successful-admin": "exploits", "shellcode-detect": "exploits", "exploit-kit": "exploits", "misc-attack": "exploits",

	"attempted-dos": "dos", "successful-dos": "dos", "denial-of-service": "dos",

	"policy-violation": "policy-violation", "inappropriate-content": "policy-violation", "external-ip-check": "policy-violation",
	"misc-activity": "policy-violation", "not-suspicious": "policy-violation", "default-login-attempt": "policy-violation",

	"web-application-activity": "web-attacks", "web-application-attack": "web-attacks",

	"attempted-recon": "reconnaissance", "successful-recon-limited": "reconnaissance", "successful-recon-largescale": "reconnaissance",
	"network-scan": "reconnaissance", "rpc-portmap-decode": "reconnaissance",

	"domain-c2": "botnet", "command-and-control": "botnet",
}

// CategoryOf is the category of rules with a classtype.
func CategoryOf(classtype string) string {
	if id, ok := classes[classtype]; ok {
		return id
	}
	return "suspicious"
}

// KindOf describes a category.
func KindOf(id string) (Kind, bool) {
	for _, k := range Catalogue {
		if k.ID == id {
			return k, true
		}
	}
	return Kind{}, false
}

// complete puts stored categories into the order of the catalogue, and adds
// those that are newer than what was stored.
func complete(stored []Category) []Category {
	out := Default().Categories
	for _, c := range stored {
		known := false
		for i := range out {
			if out[i].ID == c.ID {
				out[i], known = c, true
			}
		}
		if !known {
			out = append(out, c) // for Validate to refuse
		}
	}
	return out
}
