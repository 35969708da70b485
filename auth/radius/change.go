package radius

import (
	"encoding/binary"
	"errors"

	"layeh.com/radius"
	"layeh.com/radius/vendors/microsoft"

	"github.com/adit-vpn/adit/auth"
)

// addChange adds a new password (RFC 2548, sections 2.1.6 and 2.3.4): the encrypted one is cut
// into numbered pieces.
func addChange(p *radius.Packet, r *auth.Request) error {
	// Code, Ident, Encrypted-Hash, Peer-Challenge, Reserved, NT-Response, Flags.
	v := append([]byte{7, r.ID}, r.Change.Hash[:]...)
	v = append(append(v, r.Response[:48]...), 0, 0)
	errs := []error{microsoft.MSCHAPChallenge_Add(p, r.Challenge), microsoft.MSCHAP2CPW_Add(p, v)}
	const piece = 243
	rest := r.Change.Password[:]
	for n := uint16(1); len(rest) > 0; n++ {
		k := min(piece, len(rest))
		// Code, Ident, Sequence-Number.
		b := binary.BigEndian.AppendUint16([]byte{6, r.ID}, n)
		errs = append(errs, microsoft.MSCHAPNTEncPW_Add(p, append(b, rest[:k]...)))
		rest = rest[k:]
	}
	return errors.Join(errs...)
}
