package radius

import (
	"bytes"
	"encoding/binary"
	"testing"

	"layeh.com/radius"
	"layeh.com/radius/vendors/microsoft"

	"github.com/adit-vpn/adit/auth"
)

// A new password goes to the server in the attributes of RFC 2548, and what the server says of it
// comes back.
func TestAPasswordIsChanged(t *testing.T) {
	r := papRequest()
	r.Method, r.ID = auth.MSCHAPv2, 9
	r.Challenge, r.Response = bytes.Repeat([]byte{0xc}, 16), bytes.Repeat([]byte{0xa}, 49)
	r.Change = &auth.PasswordChange{}
	for i := range r.Change.Password {
		r.Change.Password[i] = byte(i)
	}
	copy(r.Change.Hash[:], "the old ones sum")
	var got *radius.Packet
	s := serve(t, func(p *radius.Packet, _ []byte) []byte {
		got = p
		return signed(p, radius.CodeAccessReject, func(r *radius.Packet) {
			_ = microsoft.MSCHAPError_Add(r, []byte("\x09E=709 R=0 C=00112233445566778899aabbccddeeff V=3 M=It is too short"))
		})
	})
	answer, err := client(t, Config{}, s).Authenticate(t.Context(), r)
	if err != nil || answer.Verdict == auth.Accepted || answer.Code != 709 || answer.Message != "It is too short" {
		t.Errorf("it is %+v, %v", answer, err)
	}
	cpw := microsoft.MSCHAP2CPW_Get(got)
	want := append([]byte("\x07\x09the old ones sum"), append(bytes.Repeat([]byte{0xa}, 48), 0, 0)...)
	if !bytes.Equal(cpw, want) || !bytes.Equal(microsoft.MSCHAPChallenge_Get(got), r.Challenge) || microsoft.MSCHAP2Response_Get(got) != nil {
		t.Errorf("MS-CHAP2-CPW is %x, want %x", cpw, want)
	}
	pieces, err := microsoft.MSCHAPNTEncPW_Gets(got)
	var whole []byte
	for i, piece := range pieces {
		if piece[0] != 6 || piece[1] != 9 || int(binary.BigEndian.Uint16(piece[2:])) != i+1 {
			t.Errorf("piece %d begins with %x", i, piece[:4])
		}
		whole = append(whole, piece[4:]...)
	}
	if err != nil || !bytes.Equal(whole, r.Change.Password[:]) {
		t.Errorf("MS-CHAP-NT-Enc-PW has %d bytes, %v", len(whole), err)
	}
}
