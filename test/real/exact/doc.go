//go:build real

// Package exact shows that speed changes no packet: what goes in at one end of
// a tunnel comes out at the other, every packet once, in the order of its flow,
// with every byte as it was; and that a real TCP stack notices nothing.
//
// The client is our own, in the process of the test. The server is a process
// in a network namespace, with a real TUN or TAP device. Behind it packets are
// captured and sent by packet sockets that see super-packets as the device had
// them; a cutter of the test's own, which shares no code with the server, makes
// of each the packets that it stands for.
//
// What may differ: nothing but the IPv4 identification of packets that may not
// be fragmented, and with it the header checksum. RFC 6864, section 4.1: such a
// packet is atomic, and its identification means nothing.
package exact
