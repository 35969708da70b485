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
// Package netdevtest has the same Device in memory.
package netdev
