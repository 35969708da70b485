// Package wire is the personas' own implementation of the standards: small encoders and
// decoders for ISAKMP, ESP, L2TP, PPP, IPv4, UDP and DHCP, and the cryptography that they
// need.
//
// It imports nothing from this module, so that one misreading cannot hide both in the
// server and in the clients that test it. It prefers plain code over speed and
// generality: it supports what the built-in clients use.
//
// Decoders check every length. Everything is safe for concurrent use, except values that
// are being changed.
package wire
