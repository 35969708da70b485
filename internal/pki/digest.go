package pki

import (
	"crypto/sha256"
	"crypto/x509"
)

// Digest tells whether what files had when they were loaded is something else than before. A file
// that is read for that once more may be another one by then.
type Digest [sha256.Size]byte

// DigestOf is that of parts, in this order.
func DigestOf(parts ...[]byte) Digest {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256(p)
		h.Write(sum[:])
	}
	return Digest(h.Sum(nil))
}

// DigestOfCertificates is that of a list of certificates.
func DigestOfCertificates(list []*x509.Certificate) Digest {
	parts := make([][]byte, len(list))
	for i, c := range list {
		parts[i] = c.Raw
	}
	return DigestOf(parts...)
}

// Digests are those of the chain, and of the key, by its public half.
func (i *Identity) Digests() (chain, key Digest) {
	return DigestOfCertificates(i.Chain), DigestOf(i.Chain[0].RawSubjectPublicKeyInfo)
}

// Digests are those of the trusted CAs, and of the revocation lists.
func (a *Authority) Digests() (cas, lists Digest) {
	parts := make([][]byte, len(a.lists))
	for i := range a.lists {
		parts[i] = a.lists[i].digest[:]
	}
	return DigestOfCertificates(a.cas), DigestOf(parts...)
}
