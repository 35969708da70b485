package packet

import "strings"

// Labels is a domain name as DNS writes it (RFC 1035, section 3.1), nil if it
// is none.
func Labels(name string) []byte {
	if name == "" || len(name) > 253 {
		return nil
	}
	var b []byte
	for _, label := range strings.Split(name, ".") {
		if label == "" || len(label) > 63 {
			return nil
		}
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}
