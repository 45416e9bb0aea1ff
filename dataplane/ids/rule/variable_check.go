package rule

// CheckVariable says what is wrong with the value of a variable: that it does not
// parse, leads to itself or to one without a value, or is empty.
func (r *Resolver) CheckVariable(name string) error {
	if _, ok := r.vars.Ports[name]; ok {
		p, err := parsePorts("$"+name, 0)
		if err == nil {
			_, err = r.Ports(p)
		}
		return err
	}
	a, err := parseAddresses("$"+name, 0)
	if err == nil {
		_, err = r.Addresses(a)
	}
	return err
}
