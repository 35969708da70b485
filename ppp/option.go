package ppp

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// option is one configuration option; raw includes its type and length.
type option struct {
	kind byte
	data []byte
	raw  []byte
}

// parseOptions splits an option list. One bad length invalidates the whole packet: the
// options after it cannot be located.
func parseOptions(b []byte) ([]option, error) {
	var opts []option
	for len(b) > 0 {
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return nil, ErrMalformed
		}
		n := int(b[1])
		opts = append(opts, option{kind: b[0], data: b[2:n], raw: b[:n]})
		b = b[n:]
	}
	return opts, nil
}

// subset tells whether every option is contained, byte for byte, in request.
func subset(opts []option, request []byte) bool {
	sent, err := parseOptions(request)
	if err != nil {
		return false
	}
	for _, o := range opts {
		found := false
		for _, s := range sent {
			found = found || bytes.Equal(o.raw, s.raw)
		}
		if !found {
			return false
		}
	}
	return true
}

func appendOption(b []byte, kind byte, data ...byte) []byte {
	return append(append(b, kind, byte(len(data)+2)), data...)
}

func appendOption16(b []byte, kind byte, v uint16) []byte {
	return binary.BigEndian.AppendUint16(append(b, kind, 4), v)
}

func appendOption32(b []byte, kind byte, v uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, kind, 6), v)
}

// optionName names an option, for people.
func optionName(protocol uint16, kind byte) string {
	names := map[byte]string{}
	switch protocol {
	case ProtocolLCP:
		names = map[byte]string{
			lcpMRU: "MRU", lcpACCM: "ACCM", lcpAuth: "authentication", lcpMagic: "magic number", lcpPFC: "PFC", lcpACFC: "ACFC",
			13: "callback", 17: "MRRU", 19: "endpoint discriminator",
		}
	case ProtocolIPCP:
		names = map[byte]string{2: "compression", ipcpAddress: "address", ipcpDNS1: "DNS", ipcpNBNS1: "NBNS", ipcpDNS2: "second DNS", ipcpNBNS2: "second NBNS"}
	case ProtocolCCP:
		names = map[byte]string{
			0: "OUI", 1: "Predictor 1", 2: "Predictor 2", 17: "Stac LZS", ccpMPPC: "MPPC or MPPE", 21: "BSD Compress",
			24: "Deflate, draft", ccpDeflate: "Deflate",
		}
	case ProtocolIPV6CP:
		names = map[byte]string{ipv6cpInterfaceID: "interface identifier", 2: "compression"}
	}
	if name, ok := names[kind]; ok {
		return fmt.Sprintf("option %d (%s)", kind, name)
	}
	return fmt.Sprintf("option %d", kind)
}
