// Package lanes computes AES-CBC and HMAC for many packets at a time.
//
// CBC encryption and the hashes are chains: each step waits for the one before,
// and a core that works on one packet is idle most of the time. An Engine takes
// the packets of a whole batch and works on several chains at once, each in a
// lane of its own, whatever their keys, key sizes and lengths are. CBC
// decryption has no chain, and there the blocks of one packet fill the lanes.
//
// # Tiers
//
// A Tier is a set of kernels: AVX512 has VAES and AVX-512, 16 lanes wide; AESNI
// has AES-NI and the SHA extensions; Generic has no assembly of its own and
// runs wherever Go does. Best chooses once, by what the CPU can do, and the
// environment variable ADIT_CPU can choose less. All tiers compute the same.
//
// Within a tier each hash takes what there is: the SHA extensions, two packets
// at a time, also in AVX512 when there are few packets; AVX2 in AESNI for SHA384
// and SHA512, and where the extensions are missing; else the standard library.
//
// Packets of one length under one pair of keys, such as those cut from a super-packet,
// are sealed with a kernel of AVX512 that encrypts the next 64 bytes of 16 packets while
// it hashes the last ones: AES and additions are done by different units of the CPU. It
// is for SHA1 only, since no other hash leaves registers to encrypt in. Everything else
// is encrypted first and hashed then. HMACs of received packets of one length under one
// key are computed by the same kernel, without AES.
//
// The assembly is generated: see the module in gen, which is not part of the
// server. The build tag purego leaves it out.
//
// # What it is not
//
// It knows nothing of ESP but where the IV is: what is in a packet, where its IV
// comes from and when a key ends is the caller's. AES-GCM and 3DES are not here.
//
// # Concurrency and ownership
//
// An Engine is one worker's scratch space and is not safe for concurrent use.
// Keys are immutable and shared by workers, until Zero, which nothing else may
// overlap. Buffers and jobs are borrowed for the call.
//
// # Constant time
//
// No kernel has a branch or an address that depends on a key or on data; tables
// are indexed by positions only. Where the CPU has no AES instructions, Generic
// is as constant in time as crypto/aes is there.
package lanes

//go:generate go run -C gen . ..
