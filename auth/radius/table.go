package radius

import (
	"net/netip"

	"github.com/adit-vpn/adit/internal/limit"
)

// Vendors (IANA's private enterprise numbers).
const (
	vendorCisco     = 9
	vendorMicrosoft = 311
	vendorASA       = 3076
	vendorAccel     = 8072
	vendorMPD       = 12341
	vendorWISPr     = 14122
	vendorMikrotik  = 14988
)

// What becomes of several attributes that nothing is made of.
const (
	noLogin  = "not honoured: it is about logins to a terminal"
	noTunnel = "not honoured: the tunnel is L2TP, and there already"
	noBAP    = "nothing: it is about several links for one session (RFC 2125), of which there is one"
	isProof  = "nothing: ESP encrypts"
	inMPD    = "not honoured: it is a rule of mpd's host; use a [[filter]] or a group by Filter-Id"
)

// attributes are those that adit knows, in the order of docs/radius.md, which has them of here.
//
// Deviation: RFC 2865, section 5 wants an Access-Accept that has an attribute of a wrong
// length rejected or discarded. That would keep users out because of attributes that they
// do not need. Such an attribute is ignored, and the administrator is told.
var attributes = []attribute{
	{number: 1, name: "User-Name", fate: "the name in accounting, status and limits; of a server with `realms` if it is of these", read: text(func(g *granted, s string) { g.User = s })},
	{number: 6, name: "Service-Type", must: true, fate: "must be Framed: another one refuses the user (RFC 2865, section 5.6)", read: serviceType},
	{number: 7, name: "Framed-Protocol", fate: "PPP; another one is not honoured", read: only("Framed-Protocol", 1, "the protocol is PPP")},
	{number: 8, name: "Framed-IP-Address", must: true, fate: "the client's address; 255.255.255.254, 255.255.255.255, 0.0.0.0, and what RouterOS has for \"of the pool\" (127.0.0.0/8, 224.0.0.0/3) mean one of the pool", read: framedAddress},
	{number: 9, name: "Framed-IP-Netmask", fate: "255.255.255.255; another one is not honoured: a PPP link has no netmask, and Framed-Route names the network behind a client", read: only("Framed-IP-Netmask", 0xffffffff, "a PPP link has no netmask: Framed-Route names the network behind a client")},
	{number: 10, name: "Framed-Routing", fate: "none; another one is not honoured: no routing protocol is spoken for clients", read: only("Framed-Routing", 0, "no routing protocol is spoken for clients")},
	{number: 11, name: "Filter-Id", many: true, fate: "the name of the user's group, as `user.group` is for local users, or of a `[[filter]]`, or of one direction of it with `.in` or `.out` behind; of several groups the first counts. Also rates as accel-ppp has them, to the client and from it: `20M/5M`, in kbit/s without a unit. A pre-shared key or a certificate of a `[[group]]` admits only users whose Filter-Id names the group. In NPS: the network policy's settings, RADIUS attributes, standard", read: text(func(g *granted, s string) { g.Filters = append(g.Filters, s) })},
	{number: 12, name: "Framed-MTU", fate: "the largest packet inside, at least 576; below 1280 there is no IPv6", read: number(func(g *granted, n uint32) { g.MTU = int(min(n, 1500)) })},
	{number: 13, name: "Framed-Compression", many: true, fate: "nothing: headers are not compressed"},
	{number: 14, name: "Login-IP-Host", fate: noLogin, ignored: true},
	{number: 15, name: "Login-Service", fate: noLogin, ignored: true},
	{number: 18, name: "Reply-Message", many: true, fate: "shown by clients that show one; in the log as `reply_message` of a refusal, and at debug level of a user who comes in"},
	{number: 19, name: "Callback-Number", fate: "not honoured: nobody is called back", ignored: true},
	{number: 22, name: "Framed-Route", many: true, fate: "a network behind the client: `192.0.2.0/24 0.0.0.0 1`, with or without a gateway and metrics, or with a netmask: `192.0.2.0 255.255.255.0`; several with commas between", read: route},
	{number: 24, name: "State", fate: "returned in the Access-Request of a Termination-Action RADIUS-Request, and in an exchange of EAP", read: func(g *granted, v []byte) error { g.state = v; return nil }},
	{number: 25, name: "Class", many: true, fate: "returned in accounting; with `radius.class_group`, `OU=staff;` is the name of a group, as Filter-Id", read: func(g *granted, v []byte) error { g.Class = append(g.Class, v); return nil }},
	{number: 27, name: "Session-Timeout", must: true, fate: "seconds until the session ends", read: number(func(g *granted, n uint32) { g.SessionTimeout = seconds(n) })},
	{number: 28, name: "Idle-Timeout", fate: "seconds of silence until the session ends", read: number(func(g *granted, n uint32) { g.IdleTimeout = seconds(n) })},
	{number: 29, name: "Termination-Action", fate: "Default, or RADIUS-Request: at its Session-Timeout the client authenticates again by CHAP, MS-CHAPv2 or EAP, in a new Access-Request, while the session goes on. Accepted, it has the new limits, timeouts and Class, and keeps its addresses; else it ends. By PAP it ends: a client cannot be asked", read: terminationAction},
	{number: 33, name: "Proxy-State", many: true, fate: "nothing: it is a proxy's"},
	{number: 62, name: "Port-Limit", must: true, fate: "sessions of the user at once, in place of the group's and of `limits.sessions_per_user`; 0: as there", read: number(func(g *granted, n uint32) { g.Limits.Sessions = int(min(n, 1<<20)) })},
	{number: 64, name: "Tunnel-Type", many: true, fate: noTunnel, ignored: true},
	{number: 65, name: "Tunnel-Medium-Type", many: true, fate: noTunnel, ignored: true},
	{number: 81, name: "Tunnel-Private-Group-ID", many: true, fate: "not honoured: clients are in no VLAN; a group with `interface` gives each a device of its own", ignored: true},
	{number: 79, name: "EAP-Message", many: true, fate: "EAP's"},
	{number: 80, name: "Message-Authenticator", fate: "verified"},
	{number: 85, name: "Acct-Interim-Interval", fate: "seconds, at least 60, in place of `radius.interim`", read: number(func(g *granted, n uint32) { g.InterimInterval = interim(seconds(n)) })},
	{number: 88, name: "Framed-Pool", must: true, fate: "the `[[pool]]` of the client's IPv4 address; one that is not there refuses the user", read: text(func(g *granted, s string) { g.Pools.IPv4 = s })},
	{number: 92, name: "NAS-Filter-Rule", many: true, fate: "rules of the session's filter, as in `[[filter]]` (RFC 4849): what cannot be read refuses the user", read: filterRule},
	{number: 96, name: "Framed-Interface-Id", fate: "the client's interface identifier: its address on the link", read: interfaceID},
	{number: 97, name: "Framed-IPv6-Prefix", must: true, fate: "a /64 from which the client makes its addresses, in place of one of `network.pool6`; a /128 is an address", read: prefix(func(g *granted, p netip.Prefix) { g.IPv6.Prefix = p })},
	{number: 98, name: "Login-IPv6-Host", fate: noLogin, ignored: true},
	{number: 99, name: "Framed-IPv6-Route", many: true, fate: "an IPv6 network behind the client, as Framed-Route", read: route},
	{number: 100, name: "Framed-IPv6-Pool", must: true, fate: "the `[[pool]]` of the client's IPv6 prefix, or address, on its link; one that is not there refuses the user", read: text(func(g *granted, s string) { g.Pools.IPv6 = s })},
	{number: 123, name: "Delegated-IPv6-Prefix", must: true, fate: "a prefix for the networks behind a client that is a router, by DHCPv6", read: prefix(func(g *granted, p netip.Prefix) { g.IPv6.Delegated = p })},
	{number: 168, name: "Framed-IPv6-Address", must: true, fate: "an IPv6 address, by DHCPv6", read: address6(func(g *granted, a netip.Addr) { g.IPv6.Address = a })},
	{number: 169, name: "DNS-Server-IPv6-Address", many: true, fate: "IPv6 name servers, the first two, in place of `network.dns`", read: address6(func(g *granted, a netip.Addr) { g.dns6 = append(g.dns6, a) })},
	// RFC 6911, section 3.3: "announced to the user by the NAS".
	{number: 170, name: "Route-IPv6-Information", many: true, fate: "an IPv6 network for split tunnelling, in place of `network.routes`", read: prefix(func(g *granted, p netip.Prefix) { g.Split = append(g.Split, p) })},
	{number: 171, name: "Delegated-IPv6-Prefix-Pool", must: true, fate: "the `[[pool]]` of the prefix for networks behind the client; one that is not there refuses the user", read: text(func(g *granted, s string) { g.Pools.Delegated = s })},
	{number: 172, name: "Stateful-IPv6-Address-Pool", must: true, fate: "as Framed-IPv6-Pool", read: text(func(g *granted, s string) { g.Pools.IPv6 = s })},

	// RFC 2548.
	{vendor: vendorMicrosoft, number: 7, name: "MS-MPPE-Encryption-Policy", fate: isProof},
	{vendor: vendorMicrosoft, number: 8, name: "MS-MPPE-Encryption-Types", fate: isProof},
	{vendor: vendorMicrosoft, number: 10, name: "MS-CHAP-Domain", fate: "the domain that the server has found the user in: returned in accounting", read: func(g *granted, v []byte) error { g.LogonDomain = v; return nil }},
	{vendor: vendorMicrosoft, number: 12, name: "MS-CHAP-MPPE-Keys", fate: isProof},
	{vendor: vendorMicrosoft, number: 13, name: "MS-BAP-Usage", fate: noBAP},
	{vendor: vendorMicrosoft, number: 14, name: "MS-Link-Utilization-Threshold", fate: noBAP},
	{vendor: vendorMicrosoft, number: 15, name: "MS-Link-Drop-Time-Limit", fate: noBAP},
	{vendor: vendorMicrosoft, number: 16, name: "MS-MPPE-Send-Key", fate: isProof},
	{vendor: vendorMicrosoft, number: 17, name: "MS-MPPE-Recv-Key", fate: isProof},
	{vendor: vendorMicrosoft, number: 22, name: "MS-Filter", many: true, fate: "not honoured: use Filter-Id with a `[[filter]]`, or NAS-Filter-Rule", ignored: true},
	{vendor: vendorMicrosoft, number: 26, name: "MS-CHAP2-Success", fate: "needed with MS-CHAPv2: it proves the server to the client"},
	{vendor: vendorMicrosoft, number: 28, name: "MS-Primary-DNS-Server", fate: "a name server, in place of `network.dns`", read: address4(func(g *granted, a netip.Addr) { g.dns4[0] = a })},
	{vendor: vendorMicrosoft, number: 29, name: "MS-Secondary-DNS-Server", fate: "the second one", read: address4(func(g *granted, a netip.Addr) { g.dns4[1] = a })},
	{vendor: vendorMicrosoft, number: 30, name: "MS-Primary-NBNS-Server", fate: "a WINS server that the client gets by IPCP", read: address4(func(g *granted, a netip.Addr) { g.nbns[0] = a })},
	{vendor: vendorMicrosoft, number: 31, name: "MS-Secondary-NBNS-Server", fate: "the second one", read: address4(func(g *granted, a netip.Addr) { g.nbns[1] = a })},

	{vendor: vendorCisco, number: 1, name: "Cisco-AVPair", many: true, fate: "`ipsec:route-set=prefix 192.0.2.0/24`: a network for split tunnelling, in place of `network.routes`; `ipsec:default-domain=corp.example`: in place of `network.domain`; `ip:addr-pool=staff`: as Framed-Pool; `ip:route=192.0.2.0 255.255.255.0`: as Framed-Route; `ip:dns-servers=10.0.0.53 10.0.0.54` and `ip:wins-servers`; `lcp:interface-config=rate-limit input 10000000 …` and `output`: rates, in bit/s; `ip:sub-qos-policy-in=5M` and `-out`: rates, if the name is one. Others are not honoured", read: avPair},

	{vendor: vendorMikrotik, number: 1, name: "Mikrotik-Recv-Limit", must: true, fate: "octets from the client until the session ends", read: volumeOf(0, false)},
	{vendor: vendorMikrotik, number: 2, name: "Mikrotik-Xmit-Limit", must: true, fate: "octets to the client", read: volumeOf(1, false)},
	{vendor: vendorMikrotik, number: 3, name: "Mikrotik-Group", fate: "the name of a group, as Filter-Id", read: text(func(g *granted, s string) { g.Filters = append(g.Filters, s) })},
	{vendor: vendorMikrotik, number: 8, name: "Mikrotik-Rate-Limit", must: true, fate: "rates from the client and to it, in bit/s, `k`, `M` or `G`, with burst rate, threshold and time: `5M/20M 10M/40M 4M/16M 8/8`. What a burst may have more is had at once. Priority and least rate are not honoured", read: mikrotikRate},
	{vendor: vendorMikrotik, number: 14, name: "Mikrotik-Recv-Limit-Gigawords", must: true, fate: "2³² octets each, more", read: volumeOf(0, true)},
	{vendor: vendorMikrotik, number: 15, name: "Mikrotik-Xmit-Limit-Gigawords", must: true, fate: "2³² octets each, more", read: volumeOf(1, true)},
	{vendor: vendorMikrotik, number: 17, name: "Mikrotik-Total-Limit", must: true, fate: "octets both ways together", read: volumeOf(2, false)},
	{vendor: vendorMikrotik, number: 18, name: "Mikrotik-Total-Limit-Gigawords", must: true, fate: "2³² octets each, more", read: volumeOf(2, true)},
	{vendor: vendorMikrotik, number: 19, name: "Mikrotik-Address-List", many: true, fate: "not honoured: a group with a `[[pool]]` of its own gives its users addresses that a firewall knows", ignored: true},
	{vendor: vendorMikrotik, number: 22, name: "Mikrotik-Delegated-IPv6-Pool", must: true, fate: "as Delegated-IPv6-Prefix-Pool", read: text(func(g *granted, s string) { g.Pools.Delegated = s })},

	{vendor: vendorWISPr, number: 5, name: "WISPr-Bandwidth-Min-Up", fate: "not honoured: no rate is guaranteed", ignored: true},
	{vendor: vendorWISPr, number: 6, name: "WISPr-Bandwidth-Min-Down", fate: "not honoured: no rate is guaranteed", ignored: true},
	{vendor: vendorWISPr, number: 7, name: "WISPr-Bandwidth-Max-Up", must: true, fate: "the rate from the client, in bit/s", read: number(func(g *granted, n uint32) { g.Limits.Rates = g.Limits.Rates.Or(limit.Rates{In: limit.Rate(n)}) })},
	{vendor: vendorWISPr, number: 8, name: "WISPr-Bandwidth-Max-Down", must: true, fate: "the rate to the client, in bit/s", read: number(func(g *granted, n uint32) { g.Limits.Rates = g.Limits.Rates.Or(limit.Rates{Out: limit.Rate(n)}) })},
	{vendor: vendorWISPr, number: 9, name: "WISPr-Session-Terminate-Time", must: true, fate: "when the session ends: `2027-01-31T18:00:00+01:00`; without a zone, by the host's clock", read: terminateTime},

	{vendor: vendorASA, number: 2, name: "ASA-Simultaneous-Logins", must: true, fate: "as Port-Limit", read: number(func(g *granted, n uint32) { g.Limits.Sessions = int(min(n, 1<<20)) })},
	{vendor: vendorASA, number: 5, name: "ASA-Primary-DNS", fate: "a name server, in place of `network.dns`", read: address4(func(g *granted, a netip.Addr) { g.dns4[0] = a })},
	{vendor: vendorASA, number: 6, name: "ASA-Secondary-DNS", fate: "the second one", read: address4(func(g *granted, a netip.Addr) { g.dns4[1] = a })},
	{vendor: vendorASA, number: 7, name: "ASA-Primary-WINS", fate: "as MS-Primary-NBNS-Server", read: address4(func(g *granted, a netip.Addr) { g.nbns[0] = a })},
	{vendor: vendorASA, number: 8, name: "ASA-Secondary-WINS", fate: "the second one", read: address4(func(g *granted, a netip.Addr) { g.nbns[1] = a })},
	{vendor: vendorASA, number: 25, name: "ASA-Group-Policy", fate: "the name of a group, as Filter-Id; `OU=staff;` is `staff`", read: text(func(g *granted, s string) { g.Filters = append(g.Filters, ouName(s)) })},
	{vendor: vendorASA, number: 28, name: "ASA-IPSec-Default-Domain", fate: "in place of `network.domain`", read: text(func(g *granted, s string) { g.Domain = s })},

	{vendor: vendorAccel, number: 1, name: "Accel-VRF-Name", fate: "not honoured: there are no VRFs; a group with `interface` gives each session a device, which the host may put into one", ignored: true},
	{vendor: vendorMPD, number: 1, name: "mpd-rule", many: true, fate: inMPD, ignored: true},
	{vendor: vendorMPD, number: 2, name: "mpd-pipe", many: true, fate: inMPD, ignored: true},
	{vendor: vendorMPD, number: 3, name: "mpd-queue", many: true, fate: inMPD, ignored: true},
	{vendor: vendorMPD, number: 4, name: "mpd-table", many: true, fate: inMPD, ignored: true},
	{vendor: vendorMPD, number: 5, name: "mpd-table-static", many: true, fate: inMPD, ignored: true},
	{vendor: vendorMPD, number: 6, name: "mpd-filter", many: true, fate: inMPD, ignored: true},
	{vendor: vendorMPD, number: 7, name: "mpd-limit", many: true, fate: inMPD, ignored: true},
}
