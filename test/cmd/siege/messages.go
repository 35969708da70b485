package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"github.com/adit-vpn/adit/internal/udp"
	"github.com/adit-vpn/adit/internal/udp/udptest"
	"github.com/adit-vpn/adit/test/persona"
	"github.com/adit-vpn/adit/test/persona/wire"
)

var vendorNATT = []byte{0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45, 0x5c, 0x57, 0x28, 0xf2, 0x0e, 0x95, 0x45, 0x2f}

// offer is the body of an SA payload with one suite of phase 1: AES-256 and
// SHA2-256 with a group, and a pre-shared key.
func offer(group int) []byte {
	var a []byte
	for _, v := range [][2]uint16{{1, 7}, {14, 256}, {2, 4}, {3, 1}, {4, uint16(group)}, {11, 1}, {12, 28800}} {
		a = append(a, wire.TV(v[0], v[1])...)
	}
	return wire.SABody(wire.Proposal{Number: 1, Protocol: 1, Transforms: []wire.Transform{{Number: 1, ID: 1, Attributes: a}}})
}

// public is a public value of the group; any one will do.
func public(group int) []byte {
	if group == 31 {
		b := make([]byte, 32)
		random(b)
		return b
	}
	e, err := wire.NewExchange(group)
	if err != nil {
		panic(err)
	}
	return e.Public
}

func message(exchange byte, ci, cr [8]byte, list ...wire.Payload) []byte {
	m := &wire.Message{Initiator: ci, Responder: cr, Exchange: exchange}
	m.First, m.Body = wire.Chain(list...)
	return m.Marshal()
}

func cookie() (c [8]byte) {
	binary.BigEndian.PutUint64(c[:], rand.Uint64()|1)
	return c
}

// message1 begins Main Mode.
func message1(ci [8]byte, group int) []byte {
	return message(wire.MainMode, ci, [8]byte{},
		wire.Payload{Type: wire.PayloadSA, Body: offer(group)}, wire.Payload{Type: wire.PayloadVendor, Body: vendorNATT})
}

// ownFirst is a first message that no real client sends.
func ownFirst() []byte { return message1(cookie(), 14) }

// windowsFirst is the first message of Windows 10, which is one of the honest
// clients here.
func windowsFirst() []byte {
	net := udptest.New(1)
	server := net.Host(serverAddr).Listen(500)
	defer func() { _ = server.Close() }() // nothing that was sent is lost
	account := persona.Account{Server: netip.MustParseAddr(serverAddr), PSK: psk, User: user, Password: password}
	c := persona.New(persona.Windows10(persona.WindowsOptions{Length: true}), account, net.Host("192.168.1.10"), 1, func(string) {})
	defer c.Vanish()
	go func() { _ = c.Dial() }() // it ends with Vanish
	p := []udp.Packet{{Data: make([]byte, 4096)}}
	if _, err := server.Receive(p); err != nil {
		panic(err)
	}
	return p[0].Data
}

// message3 is the third message. Its NAT-D hashes belong to no address, so the
// server finds a NAT.
func message3(ci, cr [8]byte, ke, nonce []byte) []byte {
	none := make([]byte, 32)
	return message(wire.MainMode, ci, cr,
		wire.Payload{Type: wire.PayloadKE, Body: ke}, wire.Payload{Type: wire.PayloadNonce, Body: nonce},
		wire.Payload{Type: wire.PayloadNATD, Body: none}, wire.Payload{Type: wire.PayloadNATD, Body: none})
}

// noise is an encrypted message that nobody can decrypt.
func noise(ci, cr [8]byte, exchange byte, id uint32, n int) []byte {
	m := &wire.Message{Initiator: ci, Responder: cr, First: wire.PayloadID, Exchange: exchange, Flags: wire.Encrypted, ID: id, Body: make([]byte, n)}
	random(m.Body)
	return m.Marshal()
}

// aggressive1 begins Aggressive Mode in a group's name.
func aggressive1(ci [8]byte, group int, ke []byte, name string) []byte {
	nonce := make([]byte, 16)
	random(nonce)
	return message(wire.Aggressive, ci, [8]byte{},
		wire.Payload{Type: wire.PayloadSA, Body: offer(group)}, wire.Payload{Type: wire.PayloadKE, Body: ke},
		wire.Payload{Type: wire.PayloadNonce, Body: nonce}, wire.Payload{Type: wire.PayloadID, Body: append([]byte{11, 0, 0, 0}, name...)},
		wire.Payload{Type: wire.PayloadVendor, Body: vendorNATT})
}
