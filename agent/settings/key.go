package settings

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"ngfw.sh/internal/secret"
)

var keyForm = regexp.MustCompile(`^ngfw_dev_[0-9a-f]{32}$`)

// CheckKey says whether a device key has the form of one. The text is not
// quoted: a mistyped key is nearly a key.
func CheckKey(key secret.Text) error {
	if !keyForm.MatchString(key.Expose()) {
		return errors.New("a device key is ngfw_dev_ and 32 hexadecimal digits, as shown once when the device was registered")
	}
	return nil
}

// ReadKey reads a key and nothing else but white space around it.
func ReadKey(r io.Reader) (secret.Text, error) {
	const enough = 4096
	b, err := io.ReadAll(io.LimitReader(r, enough))
	if err != nil {
		return "", err
	}
	key := secret.Text(strings.TrimSpace(string(b)))
	return key, CheckKey(key)
}

// Key is the device key, from wherever the settings have it. Without one it is
// empty.
func (s Settings) Key() (secret.Text, error) {
	if s.APIKeyFile == "" {
		return s.APIKey, nil
	}
	f, err := os.Open(s.APIKeyFile)
	if err != nil {
		return "", fmt.Errorf("api_key_file: %w", err)
	}
	defer f.Close()
	key, err := ReadKey(f)
	if err != nil {
		return "", fmt.Errorf("api_key_file %s: %w", s.APIKeyFile, err)
	}
	return key, nil
}
