package rule

import (
	"slices"
	"strings"
	"time"
)

// Words is a keyword whose value is a list of words that only the engine gives
// a meaning. Their form has been checked.
type Words struct {
	Name string // canonical keyword
	Args []string
}

func (w *Words) Keyword() string { return w.Name }
func (*Words) condition()        {}

func (w *Words) print(b []byte) []byte {
	b = append(b, w.Name...)
	for i, arg := range w.Args {
		b = append(b, ":,"[min(i, 1)])
		b = append(b, arg...)
	}
	return b
}

// wordSpec describes such a keyword.
type wordSpec struct {
	apps      AppSet
	low, high int                    // how many words
	check     func(word string) bool // nil: any word without spaces
	form      string                 // what the words are, for errors
	separator string                 // of the words; "": a comma
	packet    bool
}

func among(words ...string) func(string) bool {
	return func(s string) bool { return slices.Contains(words, s) }
}

func notAmong(words ...string) func(string) bool {
	return func(s string) bool { return slices.Contains(words, strings.TrimPrefix(s, "!")) }
}

// numeric accepts numbers up to a limit, with a comparison before them or not.
func numeric(limit uint64) func(string) bool {
	return func(s string) bool {
		_, rest := symbol(s)
		v, ok := number(rest)
		return ok && v <= limit
	}
}

func isNumber(limit uint64) func(string) bool {
	return func(s string) bool { v, ok := number(s); return ok && v <= limit }
}

func assignment(s string) bool {
	i := strings.IndexAny(s, "=<>!&")
	return i > 0 && isName(s)
}

var sslVersions = []string{"sslv2", "sslv3", "tls1.0", "tls1.1", "tls1.2", "tls1.3"}

var wordKeywords = map[string]*wordSpec{
	"sameip":             {form: "no value", packet: true},
	"tls_cert_expired":   {form: "no value", apps: appSet("tls")},
	"tls_cert_valid":     {form: "no value", apps: appSet("tls")},
	"ftpbounce":          {form: "no value", apps: appSet("ftp")},
	"ftp.mode":           {low: 1, high: 1, check: among("active", "passive"), form: "active or passive", apps: appSet("ftp")},
	"ftp.reply_received": {low: 1, high: 1, check: among("yes", "no", "true", "false", "on", "off"), form: "yes or no", apps: appSet("ftp")},
	"ftpdata_command":    {low: 1, high: 1, check: among("retr", "stor"), form: "retr or stor", apps: appSet("ftp-data")},
	"tls.version": {low: 1, high: 1, form: "1.0, 1.1, 1.2, 1.3 or a number of 16 bits", apps: appSet("tls"), check: func(s string) bool {
		v, ok := number(s)
		return slices.Contains([]string{"1.0", "1.1", "1.2", "1.3"}, s) || ok && v <= 65535 && strings.HasPrefix(s, "0x")
	}},
	"ssl_version": {low: 1, high: 6, form: "sslv2, sslv3, tls1.0, tls1.1, tls1.2, tls1.3, or ! and one", apps: appSet("tls"), check: notAmong(sslVersions...)},
	"ssl_state": {low: 1, high: 5, separator: "|", form: "client_hello, server_hello, client_keyx, server_keyx or unknown", apps: appSet("tls"),
		check: notAmong("client_hello", "server_hello", "client_keyx", "server_keyx", "hello", "unknown")},
	"ssh.protoversion":             {low: 1, high: 1, form: "2_compat or a version", apps: appSet("ssh"), check: func(s string) bool { return isName(s) }},
	"dcerpc.opnum":                 {low: 1, high: 32, form: "numbers and ranges up to 65535", apps: appSet("dcerpc", "smb"), check: isOperation},
	"dcerpc.iface":                 {low: 1, high: 3, form: "a UUID, a version and any_frag", apps: appSet("dcerpc", "smb"), check: isInterface},
	"cip_service":                  {low: 1, high: 3, form: "service, class and attribute", apps: appSet("enip"), check: isNumber(1<<32 - 1)},
	"dnp3_func":                    {low: 1, high: 1, form: "a function code or its name", apps: appSet("dnp3")},
	"dnp3_ind":                     {low: 1, high: 16, form: "names of indicators", apps: appSet("dnp3")},
	"dnp3_obj":                     {low: 2, high: 2, form: "group and variation up to 255", apps: appSet("dnp3"), check: isNumber(255)},
	"krb5.ticket_encryption":       {low: 1, high: 16, form: "weak, strong, names or numbers", apps: appSet("krb5"), check: isName},
	"ike.chosen_sa_attribute":      {low: 1, high: 1, form: "attribute=number", apps: appSet("ike"), check: assignment},
	"http2.settings":               {low: 1, high: 1, form: "a setting and a comparison", apps: appSet("http2", "doh2"), check: assignment},
	"modbus":                       {low: 1, high: 6, form: "function, access or unit", apps: appSet("modbus"), check: func(s string) bool { return s != "" }},
	"mqtt.connack.session_present": {low: 1, high: 1, form: "true or false", apps: appSet("mqtt"), check: among("yes", "no", "true", "false")},
	"rpc":                          {low: 1, high: 3, form: "program, version and procedure, or *", check: func(s string) bool { return s == "*" || isNumber(1<<32-1)(s) }},
	"l3_proto":                     {low: 1, high: 1, form: "ipv4 or ipv6", check: among("ipv4", "ipv6", "ip4", "ip6"), packet: true},
	"app-layer-state":              {low: 1, high: 1, form: "a comparison and a state"},
	"flow.elephant":                {low: 1, high: 1, form: "toserver, toclient, both or either", check: among("toserver", "toclient", "both", "either")},
	"asn1":                         {low: 1, high: 6, form: "bitstring_overflow, double_overflow, oversize_length n, absolute_offset n, relative_offset n", check: isASN1},
}

var wordAliases = map[string]string{
	"dce_opnum": "dcerpc.opnum", "dce_iface": "dcerpc.iface", "tls.cert_expired": "tls_cert_expired", "tls.cert_valid": "tls_cert_valid",
	"dnp3.func": "dnp3_func", "dnp3.ind": "dnp3_ind", "dnp3.obj": "dnp3_obj", "krb5_ticket_encryption": "krb5.ticket_encryption",
	"cip.service": "cip_service", "ssl.version": "ssl_version", "ssl.state": "ssl_state", "ftpdata.command": "ftpdata_command",
}

func isOperation(s string) bool {
	_, rest := symbol(s)
	low, high, ok := strings.Cut(rest, "-")
	check := isNumber(65535)
	return check(trim(low)) && (!ok || check(trim(high)))
}

func isInterface(s string) bool {
	if s == "any_frag" || numeric(65535)(s) {
		return true
	}
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if _, ok := hexDigit(s[i]); ok == (i == 8 || i == 13 || i == 18 || i == 23) || !ok && s[i] != '-' {
			return false
		}
	}
	return true
}

func isASN1(s string) bool {
	name, value := word(s)
	_, signedOK := signed(value)
	switch name {
	case "bitstring_overflow", "double_overflow":
		return value == ""
	case "oversize_length", "absolute_offset", "relative_offset":
		return signedOK
	}
	return false
}

func parseWords(p *parser, o *option) error {
	name := o.keyword.name
	spec := wordKeywords[name]
	w := &Words{Name: name}
	separator := spec.separator
	if separator == "" {
		separator = ","
	}
	if o.value != "" {
		for s, more := o.value, true; more; {
			var item string
			item, s, more = strings.Cut(s, separator)
			item = strings.Join(strings.Fields(item), " ")
			if item == "" || strings.ContainsAny(item, `"\`) || spec.check == nil && !isName(item) || spec.check != nil && !spec.check(item) {
				return faultf(o.valueAt, "%s takes %s, not %q", name, spec.form, item)
			}
			w.Args = append(w.Args, item)
		}
	}
	if n := len(w.Args); n < spec.low || n > spec.high {
		return faultf(o.at, "%s takes %s", name, spec.form)
	}
	if separator == "|" {
		w.Args = []string{strings.Join(w.Args, "|")}
	}
	p.rule.PerPacket = p.rule.PerPacket || spec.packet
	return p.addCondition(w, spec.apps)
}

// CertificateTime compares a date of a certificate.
type CertificateTime struct {
	Name     string // tls_cert_notbefore or tls_cert_notafter
	Op       Op     // Equal, Less, Greater or Inside
	From, To int64  // Unix seconds; To of Inside alone
}

func (c *CertificateTime) Keyword() string { return c.Name }
func (*CertificateTime) condition()        {}

const dateForm = "2006-01-02T15:04:05"

var dateForms = []string{"2006", "2006-01", "2006-01-02", "2006-01-02 15", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15", "2006-01-02T15:04", dateForm}

func (c *CertificateTime) print(b []byte) []byte {
	b = append(append(b, c.Name...), ':')
	switch c.Op {
	case Less:
		b = append(b, '<')
	case Greater:
		b = append(b, '>')
	}
	b = time.Unix(c.From, 0).UTC().AppendFormat(b, dateForm)
	if c.Op == Inside {
		b = time.Unix(c.To, 0).UTC().AppendFormat(append(b, "<>"...), dateForm)
	}
	return b
}

func parseCertificateTime(p *parser, o *option) error {
	c := &CertificateTime{Name: o.keyword.name}
	low, high, isRange := strings.Cut(o.value, "<>")
	op, low := symbol(trim(low))
	if op == LessEqual || op == GreaterEqual || op == NotEqual || isRange && op != Equal {
		return faultf(o.valueAt, "%s is compared by <, > or as from<>to", o.keyword.name)
	}
	c.Op = op
	var err error
	if c.From, err = readDate(low, o.valueAt); err == nil && isRange {
		c.Op = Inside
		if c.To, err = readDate(high, o.valueAt); err == nil && c.To <= c.From {
			err = faultf(o.valueAt, "the range of dates is empty")
		}
	}
	if err != nil {
		return err
	}
	return p.addCondition(c, appSet("tls"))
}

func readDate(s string, at int) (int64, error) {
	s = trim(s)
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil {
			return t.Unix(), nil
		}
	}
	return 0, faultf(at, "%q is no date such as 2025-01-31 12:00:00", s)
}
