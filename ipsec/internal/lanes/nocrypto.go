//go:build nocrypto

package lanes

// NoCrypto says that this build protects nothing. It is made by the build tag
// nocrypto, to measure what everything but cryptography costs: packets leave
// in the clear, and anybody's are accepted.
const NoCrypto = true
