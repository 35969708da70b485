//go:build real

package real

import (
	"bytes"
	"context"
	"crypto/rc4"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"layeh.com/radius/rfc2759"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/auth/radius"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/test/real/lab"
)

// FreeRADIUS says that a password has expired, and finds the new one that is sent as RFC 2548 has
// it. Debian's crashes where it opens it, by OpenSSL 3. No client of Linux can change one.
func TestFreeRADIUSIsToldANewPassword(t *testing.T) {
	freeradius := here.StartRadiusWith(t, lab.RadiusSetup{
		Users:  "expired Cleartext-Password := \"the old one\", SMB-Account-Ctrl-Text := \"[Ue]\"\n",
		MSCHAP: "passchange {\n\t\t\tlocal_cpw = \"changed %{User-Name}\"\n\t\t}",
	})
	client, err := radius.New(radius.Config{
		NASIdentifier: "adit", Dial: dialIn(here.Server),
		Servers: []radius.Server{{Address: "127.0.0.1:1812", Secret: secret.String(lab.RadiusSecret)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	const old, new = "the old one", "the new one"
	request := func(password string) *auth.Request {
		challenge, peer := []byte("0123456789abcdef"), []byte("fedcba9876543210")
		nt, err := rfc2759.GenerateNTResponse(challenge, peer, []byte("expired"), []byte(password))
		if err != nil {
			t.Fatal(err)
		}
		at := netip.MustParseAddrPort("192.0.2.7:4500")
		return &auth.Request{
			Method: auth.MSCHAPv2, User: "expired", ID: 5, Challenge: challenge, Call: auth.Call{SessionID: "change", Remote: at, Local: at},
			Response: append(append(append(peer, make([]byte, 8)...), nt...), 0),
		}
	}
	if got, err := client.Authenticate(t.Context(), request(old)); err != nil || got.Verdict != auth.PasswordExpired || got.Code != 648 {
		t.Fatalf("with the old password: %+v, %v", got, err)
	}
	oldHash, _ := auth.NTHash([]byte(old))
	text, _ := rfc2759.ToUTF16([]byte(new))
	newHash := rfc2759.NTPasswordHash(text)
	block := bytes.Repeat([]byte{1}, 516)
	copy(block[512-len(text):], text)
	binary.LittleEndian.PutUint32(block[512:], uint32(len(text)))
	r := request(new)
	r.Change = &auth.PasswordChange{}
	cipher, err := rc4.NewCipher(oldHash)
	if err != nil {
		t.Fatal(err)
	}
	cipher.XORKeyStream(r.Change.Password[:], block)
	copy(r.Change.Hash[:], rfc2759.DESCrypt(newHash[:7], oldHash[:8]))
	copy(r.Change.Hash[8:], rfc2759.DESCrypt(newHash[7:14], oldHash[8:]))
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	if got, err := client.Authenticate(ctx, r); err == nil && got.Verdict != auth.Accepted {
		t.Errorf("with a new one: %+v", got)
	}
	if !freeradius.Logged("Password change payload valid") {
		t.Error("FreeRADIUS has not read the new password")
	}
}
