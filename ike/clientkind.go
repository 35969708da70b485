package ike

import (
	"bytes"
	"fmt"
)

// ClientKind is what a peer's vendor IDs tell about its software. Vendor IDs prove
// nothing, so only leniency may depend on the kind.
type ClientKind uint8

// Kinds of clients.
const (
	ClientUnknown ClientKind = iota
	ClientWindows
	ClientApple
	ClientAndroid
	ClientStrongSwan
	ClientLibreswan
)

// String names the kind.
func (k ClientKind) String() string {
	switch k {
	case ClientUnknown:
		return "unknown"
	case ClientWindows:
		return "Windows"
	case ClientApple:
		return "Apple"
	case ClientAndroid:
		return "Android"
	case ClientStrongSwan:
		return "strongSwan"
	case ClientLibreswan:
		return "Libreswan"
	default:
		return fmt.Sprintf("ClientKind(%d)", uint8(k))
	}
}

// classify tells the kind of a peer from its vendor IDs. Windows, Apple and some
// others have IDs of their own. Android's racoon and strongSwan have none, but
// they are the only ones that send exactly these sets.
func classify(vendor [][]byte) ClientKind {
	for _, v := range vendor {
		s := string(v)
		switch {
		case bytes.HasPrefix(v, []byte(vidMicrosoft)), s == vidMicrosoftVIC, s == vidMicrosoftNego:
			return ClientWindows
		case s == vidApple:
			return ClientApple
		case s == vidStrongSwan:
			return ClientStrongSwan
		case bytes.HasPrefix(v, []byte(vidLibreswan)):
			return ClientLibreswan
		}
	}
	switch {
	case same(vendor, vidRFC3947, vidNATTDraft02, vidNATTDraft02N, vidNATTDraft00, vidFragmentation8, vidDPD):
		return ClientAndroid
	case same(vendor, vidXAuth, vidDPD, vidFragmentation8, vidRFC3947, vidNATTDraft02N):
		return ClientStrongSwan
	default:
		return ClientUnknown
	}
}

// same reports whether vendor holds exactly these IDs, in any order.
func same(vendor [][]byte, ids ...string) bool {
	if len(vendor) != len(ids) {
		return false
	}
	for _, id := range ids {
		if !offered(vendor, id) {
			return false
		}
	}
	return true
}
