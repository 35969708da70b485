//go:build real

package real

import (
	"fmt"
	"strings"

	"github.com/adit-vpn/adit/test/real/lab"
)

// everyAttribute is what TestEveryAttributeHasItsEffect tries, one session each.
var everyAttribute = []attributes{
	{name: "an address and routes", reply: `Framed-IP-Address = 10.83.0.77
Framed-IP-Netmask = 255.255.255.255
Service-Type = Framed-User
Framed-Protocol = PPP
Framed-Route = "192.168.150.0/24 0.0.0.0 1"
Framed-Route += "192.168.151.0 255.255.255.0 10.83.0.77 1 2"
Cisco-AVPair = "ip:route=192.168.152.0 255.255.255.0"`,
		check: all(addressed("10.83.0.77"), behind("192.168.150.1"), behind("192.168.151.1"), behind("192.168.152.1"), accounted("Framed-IP-Address = 10.83.0.77"))},
	{name: "an address outside of the pools", reply: `Framed-IP-Address = 172.20.9.5`, check: all(addressed("172.20.9.5"), behind("172.20.9.5"))},
	{name: "an address of the pool, as RouterOS says it", reply: `Framed-IP-Address = 255.255.255.254`, check: addressed("10.83.0.")},
	{name: "a user of another name", reply: `User-Name = "ann@corp.example"`, check: func(v *visit) {
		if v.session.User != "ann@corp.example" {
			v.Errorf("the session is of %s", v.session.User)
		}
		accounted(`User-Name = "ann@corp.example"`)(v)
	}},
	{name: "a pool", reply: `Framed-Pool = "staff"`, check: addressed("10.84.0.")},
	{name: "a pool by Cisco", reply: `Cisco-AVPair = "ip:addr-pool=staff"`, check: addressed("10.84.0.")},
	{name: "a pool that is not there", reply: `Framed-Pool = "nobody"`, refused: "nobody"},
	{name: "a group by Filter-Id", reply: `Filter-Id = "staff"`, check: addressed("10.84.0.")},
	{name: "a group by Mikrotik-Group", reply: `Mikrotik-Group = "staff"`, check: addressed("10.84.0.")},
	{name: "a group by ASA-Group-Policy", reply: `ASA-Group-Policy = "OU=staff;"`, check: addressed("10.84.0.")},
	{name: "a group by Class", reply: `Class = "OU=staff;"`, check: all(addressed("10.84.0."), accounted("Class = 0x4f553d73746166663b"))},
	{name: "classes", reply: "Class = 0x6f6e65\nClass += 0x74776f", check: accounted("Class = 0x6f6e65", "Class = 0x74776f")},
	{name: "name servers", reply: "MS-Primary-DNS-Server = 10.0.0.53\nMS-Secondary-DNS-Server = 10.0.0.54",
		check: ppp("primary DNS address 10.0.0.53", "secondary DNS address 10.0.0.54")},
	{name: "name servers by ASA", reply: "ASA-Primary-DNS = 10.0.0.53\nASA-Secondary-DNS = 10.0.0.54",
		check: ppp("primary DNS address 10.0.0.53", "secondary DNS address 10.0.0.54")},
	{name: "name servers by Cisco", reply: `Cisco-AVPair = "ip:dns-servers=10.0.0.53 10.0.0.54"`,
		check: ppp("primary DNS address 10.0.0.53", "secondary DNS address 10.0.0.54")},
	{name: "a message", reply: `Reply-Message = "mind the gap"`, check: func(v *visit) {
		ppp("mind the gap")(v)
		if !strings.Contains(string(v.s.Log()), `"reply_message":"mind the gap"`) {
			v.Error("the log has no reply_message")
		}
	}},
	{name: "an MTU", reply: `Framed-MTU = 1300`, check: func(v *visit) { told(v.T, shell(here.Server), v.session.Address, 1350, 1300) }},
	{name: "filters, both ways", reply: `Filter-Id = "web"`, check: ports(false, false)},
	{name: "a filter from the client", reply: `Filter-Id = "web.in"`, check: ports(true, false)},
	{name: "a filter to the client", reply: `Filter-Id = "web.out"`, check: ports(false, true)},
	{name: "rules", reply: `NAS-Filter-Rule = "deny in tcp from any to any 81"`, check: ports(true, false)},
	{name: "rules that cannot be read", reply: `NAS-Filter-Rule = "drop everything"`, refused: "NAS-Filter-Rule"},
	{name: "a filter that is not there", reply: `Filter-Id = "nobody"`, ignored: "Filter-Id", check: ports(true, true)},
	{name: "another service", reply: `Service-Type = Login-User`, refused: "Service-Type"},
	{name: "rates by Mikrotik", reply: `Mikrotik-Rate-Limit = "2M/4M"`, check: rated(2e6, 4e6)},
	{name: "rates by WISPr", reply: "WISPr-Bandwidth-Max-Up = 3000000\nWISPr-Bandwidth-Max-Down = 6000000", check: rated(3e6, 6e6)},
	{name: "rates by Filter-Id", reply: `Filter-Id = "4M/2M"`, check: understood("2 Mbit/s", "4 Mbit/s")},
	{name: "rates by IOS", reply: `Cisco-AVPair = "lcp:interface-config=rate-limit input 2000000 8000 8000 conform-action transmit exceed-action drop"
Cisco-AVPair += "ip:sub-qos-policy-out=4M"`, check: understood("2 Mbit/s", "4 Mbit/s")},
	{name: "octets both ways", reply: `Mikrotik-Total-Limit = 200000`, check: usedUp},
	{name: "octets from the client", reply: `Mikrotik-Recv-Limit = 100000`, check: usedUp},
	{name: "octets to the client", reply: `Mikrotik-Xmit-Limit = 100000`, check: usedUp},
	{name: "more octets than 32 bits have", reply: `Mikrotik-Recv-Limit = 1
Mikrotik-Recv-Limit-Gigawords = 1
Mikrotik-Xmit-Limit = 1
Mikrotik-Xmit-Limit-Gigawords = 1
Mikrotik-Total-Limit = 1
Mikrotik-Total-Limit-Gigawords = 1`, check: func(v *visit) {
		v.g.Exec(v.T, "ping -q -n -c 50 -i 0.02 -s 1000 "+lab.AppIP)
		v.s.Session(v.T)
	}},
	{name: "IPv6 on the link", reply: "Framed-IPv6-Prefix = 2001:db8:77:1::/64\nFramed-Interface-Id = 0:0:0:7\nFramed-IPv6-Route = \"2001:db8:150::/48 :: 1\"",
		check: all(addressed6("2001:db8:77:1::/64"), linkLocal("fe80::7"), behind6("2001:db8:150::1"), accounted("Framed-IPv6-Prefix = 2001:db8:77:1::/64"))},
	{name: "an IPv6 address", reply: `Framed-IPv6-Address = 2001:db8:78::5`, check: all(addressed6("2001:db8:78::5"), accounted("Framed-IPv6-Address = 2001:db8:78::5"))},
	{name: "an IPv6 pool", reply: `Framed-IPv6-Pool = "staff"`, check: addressed6("2001:db8:84:")},
	{name: "an IPv6 pool, stateful", reply: `Stateful-IPv6-Address-Pool = "staff"`, check: addressed6("2001:db8:84:")},
	{name: "a network behind a router", reply: `Delegated-IPv6-Prefix = 2001:db8:79::/56`, check: all(accounted("Delegated-IPv6-Prefix = 2001:db8:79::/56"), behind6("2001:db8:79::1"))},
	{name: "a pool of such networks", reply: `Delegated-IPv6-Prefix-Pool = "staff"`, check: accounted("Delegated-IPv6-Prefix = 2001:db8:84")},
	{name: "a pool of such networks by Mikrotik", reply: `Mikrotik-Delegated-IPv6-Pool = "staff"`, check: accounted("Delegated-IPv6-Prefix = 2001:db8:84")},
	{name: "what pppd does not ask for", reply: `MS-Primary-NBNS-Server = 10.0.0.55
MS-Secondary-NBNS-Server = 10.0.0.56
ASA-Primary-WINS = 10.0.0.57
ASA-Secondary-WINS = 10.0.0.58
ASA-IPsec-Default-Domain = "corp.example"
DNS-Server-IPv6-Address = 2001:db8::53
Route-IPv6-Information = 2001:db8:60::/48
Cisco-AVPair = "ipsec:route-set=prefix 192.168.160.0/24"
Cisco-AVPair += "ipsec:default-domain=corp.example"`},
	{name: "the domain of a logon", reply: `MS-CHAP-Domain = "\000CORP"`, check: accounted("MS-CHAP-Domain = ")},
	{name: "what means nothing here", reply: `MS-BAP-Usage = Not-Allowed
MS-Link-Utilization-Threshold = 50
MS-Link-Drop-Time-Limit = 60
Framed-Compression = Van-Jacobson-TCP-IP
Framed-Routing = None`},
	{name: "what is not honoured", reply: `Framed-IP-Netmask = 255.255.255.0
Framed-Protocol = SLIP
Framed-Routing = Broadcast-Listen
Login-IP-Host = 10.0.0.1
Login-IPv6-Host = 2001:db8::1
Login-Service = Telnet
Callback-Number = "555"
Tunnel-Type:1 = VLAN
Tunnel-Medium-Type:1 = IEEE-802
Tunnel-Private-Group-Id:1 = "7"
MS-Filter = 0x01
Mikrotik-Address-List = "guests"
WISPr-Bandwidth-Min-Up = 1000
WISPr-Bandwidth-Min-Down = 1000
Cisco-AVPair = "shell:priv-lvl=15"
Accel-VRF-Name = "red"
mpd-rule = "1"
mpd-pipe = "1"
mpd-queue = "1"
mpd-table = "1"
mpd-table-static = "1"
mpd-filter = "1"
mpd-limit = "1"`, ignored: `Framed-IP-Netmask Framed-Protocol Framed-Routing Login-IP-Host Login-IPv6-Host Login-Service Callback-Number
Tunnel-Type Tunnel-Medium-Type Tunnel-Private-Group-ID MS-Filter Mikrotik-Address-List WISPr-Bandwidth-Min-Up
WISPr-Bandwidth-Min-Down Cisco-AVPair Accel-VRF-Name mpd-rule mpd-pipe mpd-queue mpd-table mpd-table-static mpd-filter mpd-limit`},
}

// usedUp expects that the session ends soon when it carries much, and says why.
func usedUp(v *visit) {
	before := len(v.s.Lines("disconnected"))
	_, _ = v.g.Run("ping -q -n -c 300 -i 0.01 -s 1000 -w 3 " + lab.AppIP) // it is cut off
	line := v.s.Await(v.T, before+1, "disconnected")
	if !strings.Contains(fmt.Sprint(line["cause"]), "quota") {
		v.Errorf("the session ended by %v", line["cause"])
	}
	accounted("Acct-Terminate-Cause = NAS-Request")(v)
}

// linkLocal expects the client to have an address of its link.
func linkLocal(address string) func(*visit) {
	return func(v *visit) {
		if out := v.g.Exec(v.T, "ip -6 -o addr show dev ppp0"); !strings.Contains(out, address+"/") && !strings.Contains(out, address+" ") {
			v.Errorf("the client has %s, want %s", out, address)
		}
	}
}

// behind6 expects that the host routes an address to the device of clients.
func behind6(address string) func(*visit) {
	return func(v *visit) {
		out, err := shell(here.Server)("ip -6 route get " + address)
		if err != nil || !strings.Contains(out, "dev adit0") {
			v.Errorf("the way to %s: %v %s", address, err, out)
		}
	}
}

// understood expects the rates that the log names of the session, of which others have shown what
// they do.
func understood(up, down string) func(*visit) {
	return func(v *visit) {
		for _, l := range v.s.Lines("connected") {
			if l["session"] == v.session.ID && (l["upload"] != up || l["download"] != down) {
				v.Errorf("the log has the rates %v and %v, want %s and %s", l["upload"], l["download"], up, down)
			}
		}
	}
}
