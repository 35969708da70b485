package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"testing"

	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/ipsec"
	"github.com/adit-vpn/adit/l2tp"
)

var suite = ipsec.Suite{Cipher: ipsec.AESCBC, KeyBits: 256, Auth: ipsec.HMACSHA1_96}

const spi = 0x1001

// key is the same key in the form of each side.
func key(t *testing.T) (ours string, theirs ipsec.Keys) {
	t.Helper()
	b := make([]byte, keyLen+sha1.Size)
	for i := range b {
		b[i] = byte(7 * i)
	}
	return hex.EncodeToString(b), ipsec.Keys{Enc: secret.New(b[:keyLen]), Auth: secret.New(b[keyLen:])}
}

func newOut(t *testing.T) (*outbound, ipsec.Keys) {
	t.Helper()
	ours, theirs := key(t)
	sa, err := newOutbound(spi, ours)
	if err != nil {
		t.Fatal(err)
	}
	return sa, theirs
}

func newIn(t *testing.T) (*inbound, ipsec.Keys) {
	t.Helper()
	ours, theirs := key(t)
	sa, err := newInbound(spi, ours)
	if err != nil {
		t.Fatal(err)
	}
	return sa, theirs
}

// sealed is an IP packet of n bytes in its form on the wire, and the packet
// itself.
func sealed(t *testing.T, sa *outbound, n int) (datagram, packet []byte) {
	t.Helper()
	b := make([]byte, room)
	if _, err := rand.Read(b[headLen : headLen+n]); err != nil {
		t.Fatal(err)
	}
	packet = bytes.Clone(b[headLen : headLen+n])
	datagram, err := sa.seal(b, n)
	if err != nil {
		t.Fatal(err)
	}
	return datagram, packet
}

func TestTheServerReadsWhatNaiveSends(t *testing.T) {
	out, keys := newOut(t)
	sa, err := ipsec.NewInbound(spi, suite, keys, 64)
	if err != nil {
		t.Fatal(err)
	}
	for n := 20; n <= innerMTU; n++ {
		datagram, packet := sealed(t, out, n)
		batch := []ipsec.In{{SA: sa, Buf: datagram, End: len(datagram)}}
		ipsec.NewOpener().Open(batch)
		p := batch[0]
		if p.Drop != ipsec.DropNone {
			t.Fatalf("%d bytes: %v", n, p.Drop)
		}
		b := p.Buf[p.Off+udpLen : p.End]
		h, err := l2tp.ParseData(b)
		if err != nil || !bytes.Equal(b[h.Off+pppLen:h.End], packet) {
			t.Fatalf("%d bytes: another packet came out (%v)", n, err)
		}
	}
}

func TestNaiveReadsWhatTheServerSends(t *testing.T) {
	out, _ := newOut(t)
	in, keys := newIn(t)
	sa, err := ipsec.NewOutbound(spi, suite, keys)
	if err != nil {
		t.Fatal(err)
	}
	for n := 20; n <= innerMTU; n++ {
		// When decrypted, a packet from naive is the same frame that the server
		// would seal.
		datagram, packet := sealed(t, out, n)
		far, err := ipsec.NewInbound(spi, suite, keys, 2048)
		if err != nil {
			t.Fatal(err)
		}
		opened := []ipsec.In{{SA: far, Buf: datagram, End: len(datagram)}}
		ipsec.NewOpener().Open(opened)
		frame := bytes.Clone(opened[0].Buf[opened[0].Off:opened[0].End])
		b := make([]byte, 64+len(frame)+64)
		copy(b[64:], frame)
		batch := []ipsec.Out{{SA: sa, Buf: b, Off: 64, End: 64 + len(frame)}}
		sa.Lock()
		ipsec.NewSealer(rand.Reader).Seal(batch)
		sa.Unlock()
		got, err := in.open(b[batch[0].Off:batch[0].End])
		if err != nil || !bytes.Equal(got, packet) {
			t.Fatalf("%d bytes: another packet came out (%v)", n, err)
		}
	}
}

func TestNaiveRefusesForgeriesAndRepetitions(t *testing.T) {
	out, _ := newOut(t)
	in, _ := newIn(t)
	first, packet := sealed(t, out, 100)
	again := bytes.Clone(first)
	if got, err := in.open(bytes.Clone(first)); err != nil || !bytes.Equal(got, packet) {
		t.Fatal(err)
	}
	if _, err := in.open(again); err == nil {
		t.Error("a repetition was taken")
	}
	second, _ := sealed(t, out, 100)
	for i := range second {
		forged := bytes.Clone(second)
		forged[i] ^= 1
		if _, err := in.open(forged); err == nil {
			t.Errorf("a packet was taken with another byte %d", i)
		}
	}
	if _, err := in.open(second); err != nil {
		t.Error("forgeries moved the window:", err)
	}
}
