package ppp

import "strings"

// named is what a peer says of itself by LCP Identification (RFC 1570, section 2.1), as Windows
// does: MSRASV and a version, MSRAS-0- or MSRAS-1- and the computer's name.
type named struct{ name, version string }

// take reads the text of an Identification. The last one of a kind counts.
func (n *named) take(text string) {
	switch {
	case strings.HasPrefix(text, "MSRASV"):
		n.version = text
	case strings.HasPrefix(text, "MSRAS-"):
		n.name = text
	}
}
