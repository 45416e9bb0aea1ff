package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// TestPortForward is a port forward's whole way: from the API to a client beyond
// WAN that reaches a server in LAN, to its counters and its rows.
func TestPortForward(t *testing.T) {
	r := start(t)
	api := r.api
	inside := lab.IP4(lab.LAN1).String()
	var l net.Listener
	if err := r.lab.In(lab.LAN1, func() (err error) { l, err = net.Listen("tcp", inside+":8000"); return err }); err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "inside") })}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	body := map[string]any{"name": "files", "external_port": 8080, "internal_ip": inside, "internal_port": 8000, "protocol": "tcp"}
	var rule struct {
		ID        int64  `json:"id"`
		Type      string `json:"nat_type"`
		To        string `json:"translate_to"`
		Port      string `json:"translate_port"`
		Packets   int64  `json:"packets"`
		Protocol  string `json:"protocol"`
		Hairpin   bool   `json:"hairpin"`
		DestPort  string `json:"destination_port"`
		DestinyIP string `json:"destination"`
	}
	api.call(t, http.StatusCreated, "POST", "/api/nat/rules", body, &rule)
	if rule.Type != "dnat" || rule.To != inside || rule.Port != "8000" || rule.DestPort != "8080" || rule.Protocol != "tcp" || !rule.Hairpin || rule.DestinyIP != "self" {
		t.Errorf("the short form became %+v", rule)
	}
	url := fmt.Sprintf("http://%s:8080/", lab.IP4(lab.RTR))
	for _, host := range []string{lab.INET, lab.LAN2, lab.LAN1} {
		labtest.Eventually(t, patience, func() error { _, err := r.exec(host, "curl", "-sS", "-m", "2", "-o", "/dev/null", url); return err })
	}
	labtest.Eventually(t, patience, func() error {
		var rules []struct{ Packets, Bytes int64 }
		api.get(t, "/api/nat/rules", &rules)
		if len(rules) != 1 || rules[0].Packets < 18 || rules[0].Bytes < 1000 {
			return fmt.Errorf("counted %+v", rules)
		}
		return nil
	})
	labtest.Eventually(t, patience, func() error {
		var page struct {
			Logs []struct {
				Reason string
				NAT    *struct {
					IP   string `json:"destination_ip"`
					Port int    `json:"destination_port"`
				} `json:"nat"`
			}
		}
		api.get(t, "/api/traffic/logs?port=8080&event=open&src="+lab.IP4(lab.INET).String(), &page)
		for _, row := range page.Logs {
			if row.NAT != nil && row.NAT.IP == inside && row.NAT.Port == 8000 {
				return nil
			}
		}
		return fmt.Errorf("no row says where the connection went: %+v", page)
	})
	// A refusal names the field of the body.
	bad := api.call(t, http.StatusBadRequest, "POST", "/api/nat/rules", map[string]any{"name": "n", "nat_type": "netmap", "source": "10.0.0.0/24", "translate_to": "10.1.0.0/25"}, nil)
	if !strings.Contains(string(bad.body), `"field":"translate_to"`) {
		t.Errorf("networks of two sizes: %s", bad.body)
	}
	api.call(t, http.StatusNoContent, "DELETE", fmt.Sprintf("/api/nat/rules/%d", rule.ID), nil, nil)
	labtest.Eventually(t, patience, func() error {
		if _, err := r.exec(lab.INET, "curl", "-sS", "-m", "1", "-o", "/dev/null", url); err == nil {
			return fmt.Errorf("it is still forwarded")
		}
		return nil
	})
}
