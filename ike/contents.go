package ike

import (
	"fmt"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// contents are the payloads of a message by type. Those of which there may be
// one are nil if there is none; ignored are those that mean nothing here.
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
}

// read sorts payloads. Two of a type that may come once are malformed.
func read(raws []isakmp.Raw) (c contents, err error) {
	for _, r := range raws {
		switch r.Kind {
		case isakmp.PayloadSA:
			err = once(&c.sa, r, 0)
		case isakmp.PayloadKE:
			err = once(&c.ke, r, 1)
		case isakmp.PayloadNonce:
			if _, err = isakmp.ParseNonce(r.Body); err == nil {
				err = once(&c.nonce, r, 0)
			}
		case isakmp.PayloadHash:
			err = once(&c.hash, r, 1)
		case isakmp.PayloadSignature:
			err = once(&c.signature, r, 1)
		case isakmp.PayloadCert:
			c.certs = append(c.certs, r.Body)
		case isakmp.PayloadCertRequest:
			_, err = isakmp.ParseCertRequest(r.Body) // we have one certificate, and it is sent to all
		case isakmp.PayloadID:
			c.ids = append(c.ids, r.Body)
		case isakmp.PayloadNATD, isakmp.PayloadNATDDraft:
			c.natd = append(c.natd, r.Body)
		case isakmp.PayloadNATOA, isakmp.PayloadNATOADraft:
			c.natoa = append(c.natoa, r.Body)
		case isakmp.PayloadVendorID:
			c.vendor = append(c.vendor, r.Body)
		case isakmp.PayloadNotify:
			var n isakmp.Notify
			n, err = isakmp.ParseNotify(r.Body)
			c.notifies = append(c.notifies, n)
		case isakmp.PayloadDelete:
			var d isakmp.Delete
			d, err = isakmp.ParseDelete(r.Body)
			c.deletes = append(c.deletes, d)
		default:
			c.ignored = append(c.ignored, r.Kind)
		}
		if err != nil {
			return contents{}, err
		}
	}
	return c, nil
}

func once(field *[]byte, r isakmp.Raw, least int) error {
	if *field != nil || len(r.Body) < least {
		return fmt.Errorf("%w: %v payload twice or empty", ErrMalformed, r.Kind)
	}
	*field = r.Body[:len(r.Body):len(r.Body)]
	return nil
}
