// Package frozen writes the state of a machine to bytes and reads it back.
//
// A machine names its fields once, in a function that visits them with a Codec. The same
// function writes and reads, so the two directions cannot differ.
//
// # Format
//
// One byte of version, then the fields in the order of the visits, without names and
// without gaps. Every state has exactly one encoding: Append writes what Read accepted
// again, byte for byte.
//
//	Int      a varint of encoding/binary, in its shortest form
//	Bool     one byte, 0 or 1
//	Bytes    the length plus one as an Int, 0 for nil; then the bytes
//	String   the length as an Int; then the bytes
//	Fixed    the bytes
//	Time     a Bool that says whether it is set; then Unix nanoseconds as an Int
//	Addr     a String of netip.Addr's binary form
//	Prefix   its Addr; then its length as an Int, -1 for the invalid prefix
//	List     the length plus one as an Int, 0 for nil; then the elements
//
// # Time
//
// Times are absolute, by the wall clock. A lifetime was agreed with a peer whose clock
// runs on while a state is frozen, and so do all deadlines: one that passes meanwhile is
// due at once after the thaw. Readings of a monotonic clock have no meaning outside the
// process that took them.
//
// # What it is not
//
// The package does not validate values, except where Codec.Check asks it to. It encrypts
// nothing. The state of a machine contains keys: protect the bytes like the keys.
package frozen
