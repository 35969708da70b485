package ike

import (
	"bytes"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// contents are the payloads of a message by type. The field of a payload that may
// be there only once is nil if there is none or if it cannot be read. ignored has
// the payloads that are not used here.
type contents struct {
	sa, ke, nonce []byte
	ids           [][]byte
	hash          []byte
	signature     []byte
	certs         [][]byte // certificate payloads
	natd, natoa   [][]byte
	vendor        [][]byte
	notifies      []isakmp.Notify
	deletes       []isakmp.Delete
	ignored       []isakmp.PayloadType
	unread        []isakmp.PayloadType // malformed, or there twice where only one is allowed
}

// chain reads the payloads of b. A payload that cannot be read, and perhaps all
// that follow it, is skipped; code that needs a payload reports it as missing. So
// a certificate request that is longer than its message does not break a phase 1
// with a pre-shared key.
func chain(first isakmp.PayloadType, b []byte) contents {
	raws, _, err := isakmp.Chain(first, b)
	c := sorted(raws)
	if err != nil {
		c.unread = append(c.unread, isakmp.PayloadNone)
	}
	return c
}

// sorted sorts payloads by type.
func sorted(raws []isakmp.Raw) (c contents) {
	for _, r := range raws {
		if !c.take(r) {
			c.unread = append(c.unread, r.Kind)
		}
	}
	return c
}

// take puts a payload into its field. It reports whether the payload can be read.
func (c *contents) take(r isakmp.Raw) bool {
	switch r.Kind {
	case isakmp.PayloadSA:
		return once(&c.sa, r)
	case isakmp.PayloadKE:
		return len(r.Body) > 0 && once(&c.ke, r)
	case isakmp.PayloadNonce:
		_, err := isakmp.ParseNonce(r.Body)
		return err == nil && once(&c.nonce, r)
	case isakmp.PayloadHash:
		return len(r.Body) > 0 && once(&c.hash, r)
	case isakmp.PayloadSignature:
		return len(r.Body) > 0 && once(&c.signature, r)
	case isakmp.PayloadCert:
		c.certs = append(c.certs, r.Body)
	case isakmp.PayloadCertRequest: // we have one certificate, and it is sent to all
	case isakmp.PayloadID:
		c.ids = append(c.ids, r.Body)
	case isakmp.PayloadNATD, isakmp.PayloadNATDDraft:
		c.natd = append(c.natd, r.Body)
	case isakmp.PayloadNATOA, isakmp.PayloadNATOADraft:
		c.natoa = append(c.natoa, r.Body)
	case isakmp.PayloadVendorID:
		c.vendor = append(c.vendor, r.Body)
	case isakmp.PayloadNotify:
		n, err := isakmp.ParseNotify(r.Body)
		if err != nil {
			return false
		}
		c.notifies = append(c.notifies, n)
	case isakmp.PayloadDelete:
		d, err := isakmp.ParseDelete(r.Body)
		if err != nil {
			return false
		}
		c.deletes = append(c.deletes, d)
	default:
		c.ignored = append(c.ignored, r.Kind)
	}
	return true
}

// once takes the first payload of its type. An identical copy of it does no harm.
func once(field *[]byte, r isakmp.Raw) bool {
	if *field != nil {
		return bytes.Equal(*field, r.Body)
	}
	*field = r.Body[:len(r.Body):len(r.Body)]
	return true
}

// ambiguous reports whether a payload of one of these types is there twice or
// malformed. Code that needs such a payload cannot know which one is meant.
func (c *contents) ambiguous(types ...isakmp.PayloadType) bool {
	for _, t := range c.unread {
		for _, needed := range types {
			if t == needed {
				return true
			}
		}
	}
	return false
}
