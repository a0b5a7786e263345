package supervisor

import (
	"os/user"
	"strconv"
)

// UserName is the name of a user of this machine, or the number where it has none.
func UserName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return "uid " + strconv.Itoa(uid)
}
