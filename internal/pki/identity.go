package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/adit-vpn/adit/internal/secret"
)

// Identity is a private key and the certificates that vouch for it.
type Identity struct {
	Chain []*x509.Certificate // the leaf first; without the root, or with it
	Key   crypto.Signer       // RSA or ECDSA on P-256, P-384 or P-521
}

// maxFile bounds what is read of a file, in bytes. Revocation lists may be long.
const maxFile = 16 << 20

// LoadIdentity reads a chain and its private key from PEM files. It fails if
// others than the owner can read the key, or if the two do not belong together.
func LoadIdentity(chainFile, keyFile string) (*Identity, error) {
	chain, err := LoadCertificates(chainFile)
	if err != nil {
		return nil, err
	}
	key, err := loadKey(keyFile)
	if err != nil {
		return nil, err
	}
	if err := sound(chain[0].PublicKey); err != nil {
		return nil, fmt.Errorf("%s: %w", chainFile, err)
	}
	if !samePublic(key.Public(), chain[0].PublicKey) {
		return nil, fmt.Errorf("the private key %s does not belong to the first certificate of %s", keyFile, chainFile)
	}
	return &Identity{Chain: chain, Key: key}, nil
}

// LoadCertificates reads the certificates of a PEM file, at least one.
func LoadCertificates(file string) ([]*x509.Certificate, error) {
	blocks, err := pemBlocks(file)
	if err != nil {
		return nil, err
	}
	var list []*x509.Certificate
	for _, b := range blocks {
		if b.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d cannot be read: %w", file, len(list)+1, err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no certificate in PEM form (BEGIN CERTIFICATE)", file)
	}
	return list, nil
}

func loadKey(file string) (crypto.Signer, error) {
	if err := secret.CheckFile(file); err != nil {
		return nil, fmt.Errorf("the private key: %w", err)
	}
	blocks, err := pemBlocks(file)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, b := range blocks {
			clear(b.Bytes)
		}
	}()
	for _, b := range blocks {
		switch b.Type {
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
			return parseKey(file, b)
		case "ENCRYPTED PRIVATE KEY":
			return nil, fmt.Errorf("the private key %s is encrypted: openssl pkey -in %s -out FILE removes the password", file, file)
		}
	}
	return nil, fmt.Errorf("%s has no private key in PEM form (BEGIN PRIVATE KEY)", file)
}

// parseKey drops the parsers' errors: they could quote the key.
func parseKey(file string, b *pem.Block) (crypto.Signer, error) {
	if b.Headers["DEK-Info"] != "" {
		return nil, fmt.Errorf("the private key %s is encrypted: openssl pkey -in %s -out FILE removes the password", file, file)
	}
	var key any
	var err error
	switch b.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(b.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("the private key %s cannot be read", file)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return k, nil
	case *ecdsa.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("the private key %s is neither RSA nor ECDSA: IKEv1 has no other signatures", file)
}

func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

func pemBlocks(file string) ([]*pem.Block, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s is larger than %d MB", file, maxFile>>20)
	}
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []*pem.Block
	for {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return list, nil
		}
		list = append(list, b)
	}
}

// minRSA is the shortest RSA key that is taken, in bits.
const minRSA = 2048

// sound reports what is wrong with a public key, for IKE's signatures.
func sound(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSA {
			return fmt.Errorf("its RSA key has %d bits, fewer than %d", n, minRSA)
		}
		return nil
	case *ecdsa.PublicKey:
		if bits := k.Curve.Params().BitSize; bits == 256 || bits == 384 || bits == 521 {
			return nil
		}
		return errors.New("its key is on a curve other than P-256, P-384 and P-521")
	}
	return errors.New("its key is neither RSA nor ECDSA")
}
