package auth

import (
	"bytes"
	"crypto/rc4"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"layeh.com/radius/rfc2759"

	"github.com/adit-vpn/adit/internal/secret"
)

// changed is a request to change a password, by the text of RFC 2759, sections 7 and 8.9 to
// 8.13.
func changed(t *testing.T, user, old, new string) *Request {
	t.Helper()
	oldHash, err := NTHash([]byte(old))
	if err != nil {
		t.Fatal(err)
	}
	text, err := rfc2759.ToUTF16([]byte(new))
	if err != nil {
		t.Fatal(err)
	}
	newHash := rfc2759.NTPasswordHash(text)
	block := bytes.Repeat([]byte{0x5a}, 516)
	copy(block[512-len(text):], text)
	binary.LittleEndian.PutUint32(block[512:], uint32(len(text)))
	c := &PasswordChange{}
	cipher, err := rc4.NewCipher(oldHash)
	if err != nil {
		t.Fatal(err)
	}
	cipher.XORKeyStream(c.Password[:], block)
	copy(c.Hash[:], rfc2759.DESCrypt(newHash[:7], oldHash[:8]))
	copy(c.Hash[8:], rfc2759.DESCrypt(newHash[7:14], oldHash[8:]))
	challenge, peer := []byte("0123456789abcdef"), []byte("fedcba9876543210")
	nt, err := rfc2759.GenerateNTResponse(challenge, peer, []byte(user), []byte(new))
	if err != nil {
		t.Fatal(err)
	}
	return &Request{Method: MSCHAPv2, User: user, Challenge: challenge, Response: append(append(append(peer, make([]byte, 8)...), nt...), 0), Change: c}
}

// A user whose password has expired comes in by none, is asked for another one, and comes in
// with that and no longer with the old one. How it was kept stays: itself, or its hash.
func TestAPasswordIsChanged(t *testing.T) {
	hash, err := NTHash([]byte("old"))
	if err != nil {
		t.Fatal(err)
	}
	for name, u := range map[string]User{
		"a password": {Name: "alice", Password: secret.String("old"), MustChange: true},
		"a hash":     {Name: "alice", NTHash: secret.New(hash), MustChange: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLocal([]User{u})
			kept := map[string]string{}
			l.Changed = func(user string, password secret.Bytes) error {
				kept[user] = string(password.Reveal())
				return nil
			}
			try := func(r *Request, want Verdict, code int) Response {
				t.Helper()
				got, err := l.Authenticate(t.Context(), r)
				if err != nil || got.Verdict != want || got.Code != code {
					t.Errorf("%v with code %d (%s), %v; want %v with %d", got.Verdict, got.Code, got.Detail, err, want, code)
				}
				return got
			}
			try(shown(t, MSCHAPv2, "old", "1"), PasswordExpired, 648)
			try(shown(t, MSCHAPv2, "wrong", "1"), BadCredentials, 0)
			for what, r := range map[string]*Request{"by a wrong old password": changed(t, "alice", "wrong", "new"), "to the same": changed(t, "alice", "old", "old"), "to nothing": changed(t, "alice", "old", "")} {
				if got := try(r, BadCredentials, 709); len(kept) > 0 {
					t.Errorf("%s: %s", what, got.Detail)
				}
			}
			other := changed(t, "alice", "old", "new")
			other.Response[40] ^= 1
			try(other, BadCredentials, 709)
			got := try(changed(t, "alice", "old", "nëw passwörd"), Accepted, 0)
			if kept["alice"] != "nëw passwörd" || !strings.HasPrefix(got.Success, "S=") || got.Grant.User != "alice" {
				t.Errorf("kept %q, %+v", kept, got)
			}
			try(shown(t, MSCHAPv2, "nëw passwörd", "1"), Accepted, 0)
			try(shown(t, MSCHAPv2, "old", "1"), BadCredentials, 0)
			try(changed(t, "alice", "nëw passwörd", "third"), BadCredentials, 709) // nobody has asked for it
		})
	}
}

// A password does not change while users are read and replaced: it would be the old one again.
func TestAPasswordChangesBeforeOrAfterUsersAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := User{Name: "alice", Password: secret.String("old"), MustChange: true}
		l := NewLocal([]User{kept})
		l.Changed = func(_ string, password secret.Bytes) error {
			kept.Password, kept.MustChange = password, false
			return nil
		}
		release := l.Hold()
		read, r := kept, changed(t, "alice", "old", "new")
		go func() {
			if got, err := l.Authenticate(t.Context(), r); err != nil || got.Verdict != Accepted {
				t.Errorf("%+v, %v", got, err)
			}
		}()
		synctest.Wait()
		l.Replace([]User{read})
		release()
		synctest.Wait()
		if got, err := l.Authenticate(t.Context(), shown(t, MSCHAPv2, "new", "1")); err != nil || got.Verdict != Accepted {
			t.Errorf("with the new one: %+v, %v", got, err)
		}
	})
}

// A password that cannot be kept stays as it is.
func TestAPasswordThatCannotBeKept(t *testing.T) {
	l := NewLocal([]User{{Name: "alice", Password: secret.String("old"), MustChange: true}})
	l.Changed = func(string, secret.Bytes) error { return errors.New("the disk is full") }
	got, err := l.Authenticate(t.Context(), changed(t, "alice", "old", "new"))
	if err != nil || got.Code != 709 || !strings.Contains(got.Detail, "the disk is full") {
		t.Errorf("%+v, %v", got, err)
	}
	if got, _ := l.Authenticate(t.Context(), shown(t, MSCHAPv2, "old", "1")); got.Verdict != PasswordExpired {
		t.Errorf("with the old one: %v", got.Verdict)
	}
	for _, m := range []Method{PAP, CHAP} {
		if got, _ := l.Authenticate(t.Context(), shown(t, m, "old", "1")); got.Verdict != PasswordExpired || !strings.Contains(got.Detail, "cannot") {
			t.Errorf("%v: %v, %s", m, got.Verdict, got.Detail)
		}
	}
}

func FuzzChange(f *testing.F) {
	f.Add(bytes.Repeat([]byte{1}, 516), []byte("0123456789abcdef"))
	f.Fuzz(func(_ *testing.T, password, hash []byte) {
		c := &PasswordChange{}
		copy(c.Password[:], password)
		copy(c.Hash[:], hash)
		c.open([]byte("fedcba9876543210"))
	})
}
