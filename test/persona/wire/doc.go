// Package wire is the personas' own reading of the standards: small encoders
// and decoders for ISAKMP, ESP, L2TP, PPP, IPv4, UDP and DHCP, and the
// cryptography that they need.
//
// It imports nothing of this module, so that one misreading cannot hide in the
// server and in the clients that test it. It favours plainness over speed and
// generality: it knows what the built-in clients use.
//
// Decoders check every length. Everything is safe for concurrent use but
// values that are changed.
package wire
