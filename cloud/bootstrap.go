package cloud

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/google/renameio/v2"

	"ngfw.sh/cloud/account"
)

// bootstrapEmail is the first owner's address.
const bootstrapEmail = "owner@ngfw.local"

// bootstrapDocument is bootstrap.json.
type bootstrapDocument struct {
	Email          string `json:"email"`
	Password       string `json:"password"`
	APIToken       string `json:"api_token"`
	OrganizationID string `json:"organization_id"`
}

// owners is what a bootstrap needs of the accounts.
type owners interface {
	HasUsers(context.Context) (bool, error)
	CreateFirstOwner(context.Context, account.FirstOwner) (made bool, err error)
}

// bootstrap gives an installation without users its owner and writes the
// credentials to bootstrap.json. With users it does nothing, whatever became of
// the file.
//
// The file is durable before the database knows of the owner. So a crash
// in between leaves credentials that are not valid yet, and the next start
// makes exactly them valid: at no moment is there an owner whose password
// nobody has.
func bootstrap(ctx context.Context, cfg Config, accounts owners, log *slog.Logger) error {
	has, err := accounts.HasUsers(ctx)
	if err != nil || has {
		return err
	}
	path := cfg.path(bootstrapFile)
	o, err := readBootstrap(path)
	if errors.Is(err, fs.ErrNotExist) {
		o = account.NewFirstOwner(bootstrapEmail)
		err = writeBootstrap(cfg, o)
	}
	if err != nil {
		return err
	}
	made, err := accounts.CreateFirstOwner(ctx, o)
	if err != nil {
		return fmt.Errorf("make the owner: %w", err)
	}
	if made {
		log.Info("owner made", "email", o.Email, "credentials", path)
	}
	return nil
}

// readBootstrap reads the credentials of a start that did not come to its end.
func readBootstrap(path string) (account.FirstOwner, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return account.FirstOwner{}, err
	}
	var d bootstrapDocument
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	err = dec.Decode(&d)
	o := account.FirstOwner{Email: d.Email, Password: d.Password, APIToken: d.APIToken, Organization: d.OrganizationID}
	if err == nil {
		err = o.Check()
	}
	if err != nil {
		return o, fmt.Errorf("%s is there but not as this service writes it (%w): remove it to have new credentials made", path, err)
	}
	// It may have been put there by other means than ours.
	if err := os.Chmod(path, 0o600); err != nil {
		return o, fmt.Errorf("restrict %s: %w", path, err)
	}
	return o, nil
}

func writeBootstrap(cfg Config, o account.FirstOwner) error {
	text, err := json.MarshalIndent(bootstrapDocument{Email: o.Email, Password: o.Password, APIToken: o.APIToken, OrganizationID: o.Organization}, "", "  ")
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(cfg.path(bootstrapFile), append(text, '\n'), 0o600, renameio.IgnoreUmask()); err != nil {
		return fmt.Errorf("write %s: %w", bootstrapFile, err)
	}
	// The rename itself must survive a power cut, or the database could know an
	// owner whose file is gone.
	dir, err := os.Open(cfg.DataDir)
	if err != nil {
		return fmt.Errorf("write %s: %w", bootstrapFile, err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", bootstrapFile, err)
	}
	return nil
}
