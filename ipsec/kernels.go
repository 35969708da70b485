package ipsec

import "github.com/adit-vpn/adit/ipsec/internal/lanes"

// Kernels names the set of kernels that Sealers and Openers use on this CPU:
// avx512, aesni or generic, or "none" in a build that protects nothing. An error says
// that the environment variable ADIT_CPU names a set that does not exist, or that this
// CPU cannot run.
func Kernels() (string, error) {
	t, err := lanes.Chosen()
	if NoCrypto {
		return "none", err
	}
	return t.String(), err
}

// NoCrypto says that this build protects nothing: it has the build tag
// nocrypto, and is good for measuring only.
const NoCrypto = lanes.NoCrypto
