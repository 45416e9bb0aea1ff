package stack

import (
	"fmt"
	"os"
	"strings"

	"ngfw.sh/lab"
)

// writeEnvironment writes what a script needs to use the run: `. .run/env`.
func (s *Stack) writeEnvironment(d device) error {
	values := [][2]string{
		{"NGFW_URL", s.api.base},
		{"NGFW_TOKEN", s.api.token},
		{"NGFW_DEVICE_ID", d.ID},
		{"NGFW_LAB_HTTP", labURL()},
		{"NGFW_LAB_NAME", s.cfg.Name},
	}
	for _, host := range []string{lab.LAN1, lab.LAN2, lab.IOT1, lab.INET} {
		key := "NGFW_LAB_" + strings.ToUpper(host)
		values = append(values, [2]string{key + "_IP", lab.IP4(host).String()}, [2]string{key + "_IP6", lab.IP6(host).String()})
	}
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%s=%s\n", v[0], shellQuote(v[1]))
	}
	path := s.path("env")
	if err := os.WriteFile(path+".new", []byte(b.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// shellQuote makes one word of a POSIX shell out of any text without NUL.
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Summary is what to tell a person once the run is ready.
func (s *Stack) Summary() string {
	return fmt.Sprintf(`ngfw.sh is running
  address      %s/
  credentials  %s
  environment  . %s
  in the lab   %s exec --name %s lan1 -- curl %s`,
		s.api.base, s.bootstrapPath(), s.path("env"), s.program("ngfw-lab"), s.cfg.Name, labURL())
}
