package vpn

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
)

// keyNotes counts what a key log is told, with keys that are still whole.
type keyNotes struct{ esp int }

func (*keyNotes) IKE([8]byte, secret.Bytes) {}

func (k *keyNotes) ESP(_, _ netip.Addr, _ uint32, _ ike.ESPSuite, _ bool, keys ike.ChildKeys) {
	if bytes.Contains(keys.Enc.Reveal(), []byte{7, 7}) && bytes.Contains(keys.Auth.Reveal(), []byte{7, 7}) {
		k.esp++
	}
}

// The keys of a pair of ESP SAs that a connection has are for the key log. They are erased
// once nobody needs them for that.
func TestKeysAreErasedOnceTheyAreLogged(t *testing.T) {
	for _, tt := range []struct {
		name   string
		auth   ike.ESPAuth
		size   int
		log    *keyNotes
		logged bool // at once
	}{
		{"no key log", ike.ESPAuthSHA1_96, 20, nil, false},
		{"no key log, SHA-256", ike.ESPAuthSHA256_128, 32, nil, false},
		{"a key log", ike.ESPAuthSHA1_96, 20, &keyNotes{}, true},
		{"a key log that waits for the first packet", ike.ESPAuthSHA256_128, 32, &keyNotes{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShared(t)
			if tt.log != nil {
				s.policy.KeyLog = tt.log
			}
			var all []secret.Bytes
			keys := func() ike.ChildKeys {
				k := ike.ChildKeys{Enc: secret.New(bytes.Repeat([]byte{7}, 16)), Auth: secret.New(bytes.Repeat([]byte{7}, tt.size))}
				all = append(all, k.Enc, k.Auth)
				return k
			}
			kept := func() (n int) {
				for _, k := range all {
					if !bytes.Equal(k.Reveal(), make([]byte, k.Len())) {
						n++
					}
				}
				return n
			}
			s.addChild(s.now, s.phase(), ike.Child{
				InSPI: s.slot.NewSPI(), OutSPI: 1, In: keys(), Out: keys(),
				Suite: ike.ESPSuite{Cipher: ike.ESPAESCBC, KeyBits: 128, Auth: tt.auth}, Lifetime: time.Hour,
			})
			want := 0
			if tt.log != nil && !tt.logged {
				want = len(all)
			}
			if n := kept(); n != want {
				t.Errorf("%d keys are kept at first, want %d", n, want)
			}
			s.use(s.kids.pairs[0])
			if n := kept(); n != 0 {
				t.Errorf("%d keys are kept for nobody", n)
			}
			if tt.log != nil && tt.log.esp != 2 {
				t.Errorf("%d of 2 SAs were logged", tt.log.esp)
			}
		})
	}
}
