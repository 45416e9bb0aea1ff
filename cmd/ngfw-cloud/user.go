package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"ngfw.sh/cloud/account"
)

func newUser(o *options) *cobra.Command {
	var n account.NewUser
	var fromStdin bool
	create := &cobra.Command{
		Use:   "create --email E [--org O] [--role R]",
		Short: "Make a user and print the password once",
		Long: `Make a user. The password is generated and printed once, unless it is read
from standard input. --org names an organization by id or name; a new name makes
one, on the plan starter, with the user as its owner.`,
		Args: cobra.NoArgs,
	}
	create.RunE = done(func(cmd *cobra.Command, _ []string) error {
		shown := ""
		if fromStdin {
			line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("read the password: %w", err)
			}
			n.Password = strings.TrimRight(line, "\r\n")
		} else {
			n.Password = account.NewPassword()
			shown = n.Password
		}
		core, err := o.open(cmd, true)
		if err != nil {
			return err
		}
		defer core.Close()
		u, err := core.Account.CreateUser(cmd.Context(), n)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("user %s is %s of %s", u.Email, u.Role, u.OrgID)
		if shown != "" {
			text += ", the password, shown only now:"
		}
		return o.print(cmd, struct {
			ID       string `json:"id"`
			Email    string `json:"email"`
			Role     string `json:"role"`
			Org      string `json:"organization_id"`
			Password string `json:"password,omitempty"`
		}{u.ID, u.Email, u.Role, u.OrgID, shown}, shown, text)
	})
	f := create.Flags()
	f.StringVar(&n.Email, "email", "", "e-mail `address`, also the name to log in with")
	f.StringVar(&n.Organization, "org", "", "`organization`, id or name (default the only one)")
	f.StringVar(&n.Role, "role", "", "owner, admin, member or viewer (default member, owner of a new organization)")
	f.BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input")
	create.MarkFlagRequired("email")
	return group("user", "Users", create)
}
