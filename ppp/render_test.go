package ppp

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// render writes a frame the way the ladders in testdata show it. It shares no parser with
// the code under test.
func render(frame []byte) string {
	b := frame
	if len(b) > 1 && b[0] == 0xff && b[1] == 3 {
		b = b[2:]
	}
	if len(b) < 6 {
		return fmt.Sprintf("%x", frame)
	}
	proto := binary.BigEndian.Uint16(b)
	names := map[uint16]string{
		0xc021: "LCP", 0xc023: "PAP", 0xc223: "CHAP", 0x8021: "IPCP",
		0x8057: "IPV6CP", 0x80fd: "CCP", 0x8235: "ACSCP",
	}
	name, ok := names[proto]
	if !ok {
		return fmt.Sprintf("%04x %x", proto, b[2:])
	}
	code, id, data := b[2], b[3], b[6:]
	return fmt.Sprintf("%s %s id=%d%s", name, renderCode(proto, code), id, renderData(proto, code, data))
}

func renderCode(proto uint16, code byte) string {
	names := []string{
		"?", "Configure-Request", "Configure-Ack", "Configure-Nak", "Configure-Reject", "Terminate-Request",
		"Terminate-Ack", "Code-Reject", "Protocol-Reject", "Echo-Request", "Echo-Reply", "Discard-Request",
		"Identification",
	}
	switch proto {
	case 0xc023:
		names = []string{"?", "Authenticate-Request", "Authenticate-Ack", "Authenticate-Nak"}
	case 0xc223:
		names = []string{"?", "Challenge", "Response", "Success", "Failure"}
	}
	if int(code) < len(names) {
		return names[code]
	}
	return fmt.Sprintf("code-%d", code)
}

func renderData(proto uint16, code byte, data []byte) string {
	switch {
	case (proto == 0xc023 && code == 1 || proto == 0xc223 && code <= 2) && len(data) > 0 && len(data) > int(data[0]):
		n := int(data[0])
		return fmt.Sprintf(" <%x> %q", data[1:1+n], data[1+n:])
	case proto == 0xc023 || proto == 0xc223, proto == 0xc021 && (code == 5 || code == 12):
		return fmt.Sprintf(" %q", data)
	case code >= 1 && code <= 4:
		return renderOptions(proto, data)
	case len(data) == 0:
		return ""
	}
	return fmt.Sprintf(" %x", data)
}

func renderOptions(proto uint16, data []byte) string {
	names := map[byte]string{1: "mru", 2: "accm", 3: "auth", 5: "magic", 7: "pfc", 8: "acfc", 13: "callback", 17: "mrru", 19: "endpoint"}
	if proto == 0x8021 {
		names = map[byte]string{2: "compress", 3: "addr", 129: "dns1", 130: "nbns1", 131: "dns2", 132: "nbns2"}
	} else if proto != 0xc021 {
		names = nil
	}
	var b strings.Builder
	for len(data) >= 2 && int(data[1]) <= len(data) && data[1] >= 2 {
		name, ok := names[data[0]]
		if !ok {
			name = fmt.Sprint(data[0])
		}
		value := data[2:data[1]]
		switch {
		case len(value) == 0:
			fmt.Fprintf(&b, " <%s>", name)
		case proto == 0x8021 && len(value) == 4:
			fmt.Fprintf(&b, " <%s %d.%d.%d.%d>", name, value[0], value[1], value[2], value[3])
		case name == "mru":
			fmt.Fprintf(&b, " <mru %d>", binary.BigEndian.Uint16(value))
		default:
			fmt.Fprintf(&b, " <%s %x>", name, value)
		}
		data = data[data[1]:]
	}
	return b.String()
}
