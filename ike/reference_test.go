package ike

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math/big"
	"testing"
)

// reference is a Main and Quick Mode initiator that shares no code with this
// package and its codec: it writes and reads bytes by hand, with math/big.
type reference struct {
	t          *testing.T
	newHash    func() hash.Hash
	newCipher  func([]byte) (cipher.Block, error)
	keyLen     int
	prime      *big.Int
	psk        []byte
	transform  []byte // of phase 1, with its header
	ckyI, ckyR []byte
	sai        []byte
	x          *big.Int
	gxi, gxr   []byte
	ni, nr     []byte
	d, a, key  []byte
	skeyid     []byte
	iv         []byte
}

func (r *reference) prf(key []byte, parts ...[]byte) []byte {
	h := hmac.New(r.newHash, key)
	h.Write(bytes.Join(parts, nil))
	return h.Sum(nil)
}

func payload(next byte, body ...[]byte) []byte {
	b := bytes.Join(body, nil)
	return append([]byte{next, 0, byte((len(b) + 4) >> 8), byte(len(b) + 4)}, b...)
}

func (r *reference) message(next, exchange, flags byte, id uint32, body []byte) []byte {
	ckyR := r.ckyR
	if ckyR == nil {
		ckyR = make([]byte, 8)
	}
	b := bytes.Join([][]byte{r.ckyI, ckyR, {next, 0x10, exchange, flags}}, nil)
	b = binary.BigEndian.AppendUint32(b, id)
	b = binary.BigEndian.AppendUint32(b, uint32(28+len(body)))
	return append(b, body...)
}

// payloads splits a chain into types and bodies.
func (r *reference) payloads(next byte, b []byte) (types []byte, bodies [][]byte) {
	for next != 0 {
		n := int(b[2])<<8 | int(b[3])
		types, bodies = append(types, next), append(bodies, b[4:n])
		next, b = b[0], b[n:]
	}
	return types, bodies
}

func (r *reference) crypt(encrypt bool, iv, b []byte) []byte {
	block, err := r.newCipher(r.key)
	if err != nil {
		r.t.Fatal(err)
	}
	n := block.BlockSize()
	b = append(bytes.Clone(b), make([]byte, (n-len(b)%n)%n)...)
	if encrypt {
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(b, b)
	} else {
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(b, b)
	}
	return b
}

func (r *reference) digest(n int, parts ...[]byte) []byte {
	h := r.newHash()
	h.Write(bytes.Join(parts, nil))
	return h.Sum(nil)[:n]
}

func (r *reference) blockLen() int { return len(r.iv) }

// power is g^x, or y^x, in as many bytes as the prime has.
func (r *reference) power(y *big.Int) []byte {
	return new(big.Int).Exp(y, r.x, r.prime).FillBytes(make([]byte, (r.prime.BitLen()+7)/8))
}

func (r *reference) message1() []byte {
	proposal := payload(0, []byte{1, 1, 0, 1}, r.transform)
	r.sai = append([]byte{0, 0, 0, 1, 0, 0, 0, 1}, proposal...)
	return r.message(1, 2, 0, 0, payload(0, r.sai))
}

func (r *reference) message3(msg2 []byte) []byte {
	r.ckyR = bytes.Clone(msg2[8:16])
	types, bodies := r.payloads(msg2[16], msg2[28:])
	if !bytes.Equal(types, []byte{1}) || !bytes.Equal(bodies[0], r.sai) {
		r.t.Fatalf("message 2 is %x; want our SA back and nothing else", msg2)
	}
	r.gxi = r.power(big.NewInt(2))
	return r.message(4, 2, 0, 0, append(payload(10, r.gxi), payload(0, r.ni)...))
}

func (r *reference) message5(msg4 []byte) []byte {
	types, bodies := r.payloads(msg4[16], msg4[28:])
	if !bytes.Equal(types, []byte{4, 10}) {
		r.t.Fatalf("message 4 has payloads %v; want KE, NONCE", types)
	}
	r.gxr, r.nr = bytes.Clone(bodies[0]), bytes.Clone(bodies[1])
	gxy := r.power(new(big.Int).SetBytes(r.gxr))
	r.skeyid = r.prf(r.psk, r.ni, r.nr)
	r.d = r.prf(r.skeyid, gxy, r.ckyI, r.ckyR, []byte{0})
	r.a = r.prf(r.skeyid, r.d, gxy, r.ckyI, r.ckyR, []byte{1})
	e := r.prf(r.skeyid, r.a, gxy, r.ckyI, r.ckyR, []byte{2})
	if r.key = e; len(e) < r.keyLen {
		k1 := r.prf(e, []byte{0})
		r.key = append(bytes.Clone(k1), r.prf(e, k1)...)
	}
	r.key = r.key[:r.keyLen]
	block, err := r.newCipher(r.key)
	if err != nil {
		r.t.Fatal(err)
	}
	r.iv = r.digest(block.BlockSize(), r.gxi, r.gxr)
	idii := []byte{1, 0, 0, 0, 10, 0, 0, 2}
	hashI := r.prf(r.skeyid, r.gxi, r.gxr, r.ckyI, r.ckyR, r.sai, idii)
	text := r.crypt(true, r.iv, append(payload(8, idii), payload(0, hashI)...))
	r.iv = text[len(text)-r.blockLen():]
	return r.message(5, 2, 1, 0, text)
}

func (r *reference) finish(msg6 []byte) (idir []byte) {
	plain := r.crypt(false, r.iv, msg6[28:])
	types, bodies := r.payloads(msg6[16], plain)
	if !bytes.Equal(types, []byte{5, 8}) || msg6[19] != 1 {
		r.t.Fatalf("message 6 has payloads %v and flags %d; want ID, HASH, encrypted", types, msg6[19])
	}
	want := r.prf(r.skeyid, r.gxr, r.gxi, r.ckyR, r.ckyI, r.sai, bodies[0])
	if !bytes.Equal(bodies[1], want) {
		r.t.Fatalf("HASH_R is %x, want %x", bodies[1], want)
	}
	r.iv = bytes.Clone(msg6[len(msg6)-r.blockLen():])
	return bodies[0]
}

// quick1 writes message 1 of Quick Mode and returns the chain's next IV. spi
// is ours; esp is a transform with its header.
func (r *reference) quick1(id uint32, spi, esp, ni []byte) (msg, iv []byte) {
	mid := binary.BigEndian.AppendUint32(nil, id)
	sa := append([]byte{0, 0, 0, 1, 0, 0, 0, 1}, payload(0, []byte{1, 3, 4, 1}, spi, esp)...)
	rest := bytes.Join([][]byte{
		payload(10, sa), payload(5, ni),
		payload(5, []byte{1, 17, 0x06, 0xa5, 10, 0, 0, 2}), payload(0, []byte{1, 17, 0x06, 0xa5, 203, 0, 113, 1}),
	}, nil)
	text := r.crypt(true, r.digest(r.blockLen(), r.iv, mid), append(payload(1, r.prf(r.a, mid, rest)), rest...))
	return r.message(8, 32, 1, id, text), text[len(text)-r.blockLen():]
}

// quick3 verifies message 2 and writes message 3. It returns the peer's SPI
// and nonce.
func (r *reference) quick3(id uint32, iv, ni, msg2 []byte) (msg, spi, nr []byte) {
	mid := binary.BigEndian.AppendUint32(nil, id)
	plain := r.crypt(false, iv, msg2[28:])
	types, bodies := r.payloads(msg2[16], plain)
	if !bytes.Equal(types, []byte{8, 1, 10, 5, 5}) {
		r.t.Fatalf("message 2 of Quick Mode has payloads %v; want HASH, SA, NONCE, ID, ID", types)
	}
	end := 0
	for _, b := range bodies {
		end += 4 + len(b)
	}
	if want := r.prf(r.a, mid, ni, plain[4+len(bodies[0]):end]); !bytes.Equal(bodies[0], want) {
		r.t.Fatalf("HASH(2) is %x, want %x", bodies[0], want)
	}
	if !bytes.Equal(bodies[3], []byte{1, 17, 0x06, 0xa5, 10, 0, 0, 2}) || !bytes.Equal(bodies[4], []byte{1, 17, 0x06, 0xa5, 203, 0, 113, 1}) {
		r.t.Errorf("identities came back as %x and %x", bodies[3], bodies[4])
	}
	spi, nr = bodies[1][16:20], bodies[2]
	hash3 := r.prf(r.a, []byte{0}, mid, ni, nr)
	text := r.crypt(true, msg2[len(msg2)-r.blockLen():], payload(0, hash3))
	return r.message(8, 32, 1, id, text), spi, nr
}

func (r *reference) keymat(n int, spi, ni, nr []byte) []byte {
	var mat, k []byte
	for len(mat) < n {
		k = r.prf(r.d, k, []byte{3}, spi, ni, nr)
		mat = append(mat, k...)
	}
	return mat[:n]
}

func TestAgainstAnIndependentInitiator(t *testing.T) {
	tests := []struct {
		name string
		r    reference
		esp  []byte // transform of AES-CBC-256 or 3DES, with SHA1
		enc  int
	}{
		{"3DES-SHA1-MODP1024", reference{
			newHash: sha1.New, newCipher: des.NewTripleDESCipher, keyLen: 24, prime: modulusOf(GroupMODP1024),
			transform: unhex(t, "00000020 01010000 80010005 80020002 80030001 80040002 800b0001 800c7080"),
		}, unhex(t, "0000001c 01030000 80040002 80050002 80010001 00020004 00000e10"), 24},
		{"AES256-SHA256-MODP2048", reference{
			newHash: sha256.New, newCipher: aes.NewCipher, keyLen: 32, prime: modulusOf(GroupMODP2048),
			transform: unhex(t, "00000024 01010000 800b0001 800c0e10 80010007 800e0100 80030001 80020004 8004000e"),
		}, unhex(t, "00000020 010c0000 80040002 80060100 80050002 80010001 00020004 00000e10"), 32},
		{"AES256-SHA1-MODP1536", reference{
			newHash: sha1.New, newCipher: aes.NewCipher, keyLen: 32, prime: modulusOf(GroupMODP1536),
			transform: unhex(t, "00000024 01010000 80010007 800e0100 80020002 80030001 80040005 800b0001 800c0e10"),
		}, unhex(t, "00000020 010c0000 80040002 80060100 80050002 80010001 00020004 00000e10"), 32},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, r := newPair(t).noNAT(), tt.r
			p.server.env.Policy.NATT = NATTAuto
			r.t, r.psk = t, []byte("correct horse battery")
			r.ckyI, r.ni, r.x = []byte("initiato"), []byte("nonce of sixteen"), big.NewInt(0x1234567890abcdef)
			path := p.arrival(datagram{fromClient: true, path: p.path})
			embryo, msg2, err := Answer(p.server.env, path, r.message1(), p.now)
			if err != nil {
				t.Fatal(err)
			}
			sa := Respond(p.server.env, embryo, p.now)
			p.server.sa = sa
			step := func(msg []byte) []byte {
				t.Helper()
				if err := sa.HandlePacket(p.now, path, msg); err != nil {
					t.Fatal(err)
				}
				p.drain(p.server)
				if len(p.wire) == 0 {
					return nil
				}
				d := p.wire[0]
				p.wire = p.wire[1:]
				return d.data
			}
			msg4 := step(r.message3(msg2))
			idir := r.finish(step(r.message5(msg4)))
			if !bytes.Equal(idir, []byte{1, 0, 0, 0, 203, 0, 113, 1}) {
				t.Errorf("the server calls itself %x", idir)
			}
			if cookie, key := sa.PhaseKey(); !bytes.Equal(key.Reveal(), r.key) || !bytes.Equal(cookie[:], r.ckyI) {
				t.Error("the key log differs from the key")
			}
			ni, spi := []byte("another nonce..!"), []byte{0xc0, 0xff, 0xee, 1}
			quick1, iv := r.quick1(1, spi, tt.esp, ni)
			quick3, peerSPI, nr := r.quick3(1, iv, ni, step(quick1))
			step(quick3)
			child := one[ChildReceiving](t, p.server).Child
			one[ChildSending](t, p.server)
			in, out := r.keymat(tt.enc+20, peerSPI, ni, nr), r.keymat(tt.enc+20, spi, ni, nr)
			for _, k := range []struct {
				what      string
				got, want []byte
			}{
				{"inbound encryption", child.In.Enc.Reveal(), in[:tt.enc]},
				{"inbound authentication", child.In.Auth.Reveal(), in[tt.enc:]},
				{"outbound encryption", child.Out.Enc.Reveal(), out[:tt.enc]},
				{"outbound authentication", child.Out.Auth.Reveal(), out[tt.enc:]},
			} {
				if !bytes.Equal(k.got, k.want) {
					t.Errorf("key of %s is %x, want %x", k.what, k.got, k.want)
				}
			}
			if child.InSPI != binary.BigEndian.Uint32(peerSPI) || child.OutSPI != 0xc0ffee01 {
				t.Errorf("SPIs %x, %x", child.InSPI, child.OutSPI)
			}
		})
	}
}
