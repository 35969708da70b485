package main

import (
	"fmt"
	"time"
)

// row is one attack of the table.
type row struct {
	name   string
	attack attack

	delay  time.Duration // of the honest clients' network, each way
	own    bool          // all honest clients have one address, which the attack forges
	beside bool          // the attacker sends from that address
	user   bool          // the attacker is a user, who may receive any amount
	ipsec  string        // more keys for the table [ipsec] of the configuration
	config string        // text at the end of the configuration
}

// groups are the groups that the server accepts, by their numbers.
var groups = []struct {
	number int
	name   string
}{{2, "MODP 1024"}, {5, "MODP 1536"}, {14, "MODP 2048"}, {15, "MODP 3072"}, {16, "MODP 4096"}, {19, "P-256"}, {20, "P-384"}, {21, "P-521"}, {31, "Curve25519"}}

func rows() []row {
	all := []row{
		{name: "nothing", attack: idle},
		{name: "forged first messages", attack: firstMessages(ownFirst, fromAnywhere)},
		{name: "forged first messages, honest clients 150 ms away", attack: firstMessages(ownFirst, fromAnywhere), delay: 75 * time.Millisecond},
		{name: "forged first messages with the client's own address", attack: firstMessages(ownFirst, fromHonest), own: true},
		{name: "forged first messages with the client's own address, 150 ms", attack: firstMessages(ownFirst, fromHonest), own: true, delay: 75 * time.Millisecond},
		{name: "100,000 forged first messages of Windows 10 a second", attack: atMost(100_000, firstMessages(windowsFirst, fromAnywhere))},
		{name: "100,000 forged first messages of Windows 10 a second, honest clients 150 ms away", attack: atMost(100_000, firstMessages(windowsFirst, fromAnywhere)), delay: 75 * time.Millisecond},
		{name: "100,000 forged first messages of Windows 10 a second with the client's own address", attack: atMost(100_000, firstMessages(windowsFirst, fromHonest)), own: true},
		{name: "forged first messages of 12 KB", attack: largeFirst},
		{name: "forged third messages", attack: thirds},
		{name: "garbage to both ports", attack: garbage},
		{name: "IP fragments", attack: pieces},
		{name: "unknown cookies", attack: unknownCookies},
		{name: "ESP noise", attack: espNoise},
		{name: "NAT keepalives", attack: keepalives},
		{name: "forged ICMP too big", attack: tooBig},
		{name: "Aggressive Mode, forged", attack: aggressives, ipsec: "aggressive = true", config: "[[group]]\nname = \"staff\"\npsk = \"another key for a siege\"\n"},
	}
	for _, g := range groups {
		all = append(all, row{name: fmt.Sprintf("200 handshakes a second, %s, 64 sources", g.name), attack: handshakes(false, g.number, 64, 200, 0)})
	}
	all = append(all,
		row{name: "200 handshakes a second, MODP 4096, 1 source", attack: handshakes(false, 16, 1, 200, 0)},
		row{name: "1,000 handshakes a second, MODP 4096, 4,096 sources", attack: handshakes(false, 16, 4096, 1000, 0)},
		row{name: "1,000 handshakes a second, MODP 2048, 4,096 sources", attack: handshakes(false, 14, 4096, 1000, 0)},
		row{name: "200 handshakes a second, MODP 4096, 64 of a /48's /64", attack: handshakes(true, 16, 64, 200, 0)},
		row{name: "1,000 handshakes a second, MODP 4096, 4,096 of a /48's /64", attack: handshakes(true, 16, 4096, 1000, 0)},
		row{name: "400 handshakes a second, 4,096 sources, 48 KiB behind each", attack: handshakes(false, 16, 4096, 400, 48<<10)},
	)
	return append(all, holderRows()...)
}
