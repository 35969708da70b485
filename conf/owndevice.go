package conf

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
)

// A device's name has maxDevice bytes at most; leastOwnName are for a user's hash, and the
// number of a session.
const (
	maxDevice    = 15
	leastOwnName = len("fffff.99")
	// hashLength is of a name's hash, 5 bits each: of 1,000 users who need one, two have the
	// same once in 70,000 such servers.
	hashLength = 7

	longestOwner = maxDevice - len("-") - leastOwnName // of network.device

	noRoom     = "%q leaves no room for the names of users' own devices (interface = true), of which it is the beginning: at most %d bytes"
	notBridged = `needs mode = "tun": in mode "tap" all clients are on the office's bridge`
)

// OwnDevice is the name of the device of a user's nth session, which begins with prefix. It
// is the same whenever it is made, and however the user types letters: RADIUS may accept a
// name in any case. What has no room, or cannot stand in a name, is there as a hash.
func OwnDevice(prefix, user string, n int) string {
	user = strings.ToLower(user)
	tail := ""
	if n > 1 {
		tail = fmt.Sprintf(".%d", n)
	}
	room := maxDevice - len(prefix) - len(tail)
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return -1
	}, user)
	if name != user || len(name) > room || name == "" {
		sum := sha256.Sum256([]byte(user))
		hash := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:max(0, min(hashLength, room))]
		name = name[:min(len(name), room-len(hash))] + hash
	}
	return prefix + name + tail
}

// validateOwnDevices refuses users whose devices would have one name.
func validateOwnDevices(d *decoder, c *Config) {
	groups, seen := map[string]bool{}, map[string]string{}
	for i := range c.Groups {
		groups[c.Groups[i].Name] = c.Groups[i].Interface
	}
	for i := range c.Users {
		u := &c.Users[i]
		if !u.Interface && !groups[u.Group] {
			continue
		}
		device := OwnDevice(c.Network.Device+"-", u.Name, 1)
		if other, ok := seen[device]; ok && other != u.Name {
			d.failUser(i, "name", "the device of the user's sessions (interface = true) would be %s, as that of user %q: choose another name", device, other)
		}
		seen[device] = u.Name
	}
}
