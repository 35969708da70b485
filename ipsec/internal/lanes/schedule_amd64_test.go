//go:build amd64 && !purego

package lanes

import (
	"bytes"
	"testing"
)

// FIPS 197, appendix A: the last round key of each size, and that Zero leaves
// nothing.
func TestKeyExpansion(t *testing.T) {
	if !hasAES {
		t.Log("this CPU has no AES instructions, and needs no schedules")
	}
	for _, v := range []struct{ key, last string }{
		{"2b7e151628aed2a6abf7158809cf4f3c", "d014f9a8c9ee2589e13f0cc8b6630ca6"},
		{"8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", "e98ba06f448c773c8ecc720401002202"},
		{"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "fe4890d1e6188d0b046df344706c631e"},
	} {
		k, err := NewCipherKey(unhex(t, v.key), Encrypt|Decrypt)
		if err != nil {
			t.Fatal(err)
		}
		if !hasAES {
			if k.schedules != (schedules{}) {
				t.Error("there is a schedule")
			}
			continue
		}
		first, last := unhex(t, v.key)[:16], unhex(t, v.last)
		if !bytes.Equal(k.enc[0][:], first) || !bytes.Equal(k.enc[14][:], last) {
			t.Errorf("%s: from %x to %x", v.key, k.enc[0], k.enc[14])
		}
		if !bytes.Equal(k.dec[0][:], last) || !bytes.Equal(k.dec[14][:], first) {
			t.Errorf("%s: back from %x to %x", v.key, k.dec[0], k.dec[14])
		}
		if k.Zero(); *k.enc != (schedule{}) || *k.dec != (schedule{}) || k.key != [32]byte{} || k.block.Load() != nil {
			t.Error("Zero leaves something")
		}
	}
}
