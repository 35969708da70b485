//go:build !nocrypto

package lanes

// NoCrypto says that this build protects nothing: see the build tag nocrypto.
const NoCrypto = false
