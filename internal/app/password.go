package app

import (
	"errors"
	"path/filepath"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/secret"
)

// errElsewhere says that a user's password stands where the server does not write.
var errElsewhere = errors.New("the user stands in the configuration, which the server does not write: change it there")

// changePassword keeps a password that a user has changed, as the old one was kept: itself, or
// as its hash.
func (a *instance) changePassword(name string, password secret.Bytes) error {
	file := filepath.Join(a.opts.Config.Server.StateDir, conf.UsersFile)
	return conf.EditUsers(file, func(users []conf.User) ([]conf.User, error) {
		for i := range users {
			u := &users[i]
			if u.Name != name {
				continue
			}
			if u.NTHash.Len() > 0 {
				hash, err := NTHash(password)
				if err != nil {
					return nil, err
				}
				u.NTHash = hash
			} else {
				u.Password, u.PasswordFile = password, ""
			}
			u.MustChange = false
			return users, nil
		}
		return nil, errElsewhere
	})
}
