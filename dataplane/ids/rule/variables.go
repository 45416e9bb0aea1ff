package rule

import "net/netip"

// Variables are the values of what expressions call $NAME. Values are
// expressions themselves.
type Variables struct {
	Addresses map[string]string
	Ports     map[string]string
}

// DefaultVariables are those of a stock suricata.yaml.
func DefaultVariables() Variables {
	v := Variables{
		Addresses: map[string]string{
			"HOME_NET":     "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]",
			"EXTERNAL_NET": "!$HOME_NET",
			"AIM_SERVERS":  "$EXTERNAL_NET",
		},
		Ports: map[string]string{
			"HTTP_PORTS": "80", "SHELLCODE_PORTS": "!80", "ORACLE_PORTS": "1521", "SSH_PORTS": "22",
			"DNP3_PORTS": "20000", "MODBUS_PORTS": "502", "FILE_DATA_PORTS": "[$HTTP_PORTS,110,143]",
			"FTP_PORTS": "21", "GENEVE_PORTS": "6081", "VXLAN_PORTS": "4789", "TEREDO_PORTS": "3544", "SIP_PORTS": "[5060,5061]",
		},
	}
	for _, name := range []string{
		"HTTP_SERVERS", "SMTP_SERVERS", "SQL_SERVERS", "DNS_SERVERS", "TELNET_SERVERS", "DC_SERVERS", "DNP3_SERVER",
		"DNP3_CLIENT", "MODBUS_CLIENT", "MODBUS_SERVER", "ENIP_CLIENT", "ENIP_SERVER",
	} {
		v.Addresses[name] = "$HOME_NET"
	}
	return v
}

// Resolver turns expressions into sets, each only once. It must not be used
// from two goroutines at a time.
type Resolver struct {
	vars      Variables
	addresses map[string]addressAnswer
	ports     map[string]portAnswer
}

type addressAnswer struct {
	set *AddressSet
	err error
}

type portAnswer struct {
	set *PortSet
	err error
}

// NewResolver resolves by these values.
func NewResolver(vars Variables) *Resolver {
	return &Resolver{vars: vars, addresses: map[string]addressAnswer{}, ports: map[string]portAnswer{}}
}

// Addresses is the set that an expression means. Expressions of the same text
// share it.
func (r *Resolver) Addresses(a *Addresses) (*AddressSet, error) {
	key := a.String()
	answer, ok := r.addresses[key]
	if !ok {
		spans, err := addressSpace.eval(&a.root, r.addressVariable, 0)
		if err == nil && len(spans) == 0 {
			err = faultf(0, "%s matches no address", key)
		}
		if err == nil {
			answer.set = newAddressSet(spans)
		}
		answer.err = err
		r.addresses[key] = answer
	}
	return answer.set, answer.err
}

func (r *Resolver) addressVariable(name string) (*node[span[netip.Addr]], error) {
	value, ok := r.vars.Addresses[name]
	if !ok {
		return nil, faultf(0, "$%s is not defined%s", name, nearest(name, keysOf(r.vars.Addresses)))
	}
	a, err := parseAddresses(value, 0)
	if err != nil {
		return nil, faultf(0, "$%s: %s", name, err)
	}
	return &a.root, nil
}

// Ports is the set that an expression means.
func (r *Resolver) Ports(p *Ports) (*PortSet, error) {
	key := p.String()
	answer, ok := r.ports[key]
	if !ok {
		spans, err := portSpace.eval(&p.root, r.portVariable, 0)
		if err == nil && len(spans) == 0 {
			err = faultf(0, "%s matches no port", key)
		}
		if err == nil {
			answer.set = &PortSet{}
			for _, s := range spans {
				answer.set.Ranges = append(answer.set.Ranges, PortRange{s.from, s.to})
			}
		}
		answer.err = err
		r.ports[key] = answer
	}
	return answer.set, answer.err
}

func (r *Resolver) portVariable(name string) (*node[span[uint16]], error) {
	value, ok := r.vars.Ports[name]
	if !ok {
		return nil, faultf(0, "$%s is not defined%s", name, nearest(name, keysOf(r.vars.Ports)))
	}
	p, err := parsePorts(value, 0)
	if err != nil {
		return nil, faultf(0, "$%s: %s", name, err)
	}
	return &p.root, nil
}
