// Package netdev is where decapsulated IP goes, and where IP for the clients
// comes from: a TUN device with several queues, or a TAP device that looks like
// one, with Ethernet and ARP inside it.
//
// # What it is not
//
// It assigns no address, sets no route and translates nothing. Packets are IP,
// whatever the device has around them.
//
// # Concurrency and ownership
//
// One goroutine reads a Queue at a time, any number write. Buffers are borrowed
// for the call. Nothing is allocated for a packet.
//
// # Offloads
//
// A TUN device hands over super-packets, and packets whose checksums are partial,
// as far as the kernel knows how to. What is written it joins itself. See Packet,
// and packet.Cutter and packet.Coalescer, which do the work.
//
// Package netdevtest has the same Device in memory.
package netdev
