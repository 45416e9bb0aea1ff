package outside

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	const never, private, always = 0, 1, 2
	for address, want := range map[string]int{
		"127.0.0.1:80": never, "127.9.9.9:80": never, "[::1]:80": never, "[::ffff:127.0.0.1]:80": never, "0.0.0.0:80": never, "[::]:443": never,
		"169.254.169.254:80": never, "[fe80::1]:80": never, "[fd00:ec2::254]:80": never, "224.0.0.1:80": never,
		"192.168.1.5:80": private, "10.0.0.1:443": private, "100.64.0.1:443": private, "[fd00::5]:443": private, "[::ffff:172.16.0.1]:1": private,
		"203.0.113.1:443": always, "[2001:db8::1]:443": always,
	} {
		for allowed, least := range map[bool]int{true: private, false: always} {
			if err := elsewhere(address, allowed); (err == nil) != (want >= least) {
				t.Errorf("%s, private networks allowed: %v: %v", address, allowed, err)
			}
		}
	}
}

// TestOwnAddressesAreNotAsked: neither by address nor by name.
func TestOwnAddressesAreNotAsked(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer server.Close()
	for _, address := range []string{server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1)} {
		res, err := Client(Config{Private: true}).Get(address)
		if err == nil {
			res.Body.Close()
		}
		if err == nil || asked > 0 {
			t.Errorf("%s was asked: %v", address, err)
		}
	}
}

func TestRedirects(t *testing.T) {
	request := func(address string) *http.Request { u, _ := url.Parse(address); return &http.Request{URL: u} }
	from := []*http.Request{request("https://rules.example/a")}
	if err := Secured(request("http://rules.example/a"), from); err == nil {
		t.Error("https went on as http")
	}
	if err := Secured(request("https://mirror.example/a"), from); err != nil {
		t.Error(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"a", http.StatusFound) }))
	defer server.Close()
	client := server.Client()
	client.CheckRedirect = Secured
	res, err := client.Get(server.URL)
	if err == nil {
		res.Body.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "redirects") {
		t.Error(err)
	}
}
