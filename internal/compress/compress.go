package compress

// Protocol is the PPP protocol number of compressed packets (RFC 1962, section 2.1).
const Protocol = 0x00fd

// MaxPacket bounds what a compressed packet may expand to: a packet of the length that
// every PPP peer takes (RFC 1661, section 6.1), and its protocol field.
const MaxPacket = 1500 + 2

// HeaderLen is the length of the header in front of compressed data: the coherency count
// of MPPC or the sequence number of Deflate.
const HeaderLen = 2

// Method is a compression protocol.
type Method uint8

// The compression protocols.
const (
	None Method = iota
	MPPC
	Deflate
)

// String names the method as the configuration does.
func (m Method) String() string {
	switch m {
	case MPPC:
		return "mppc"
	case Deflate:
		return "deflate"
	case None:
	}
	return "none"
}

// Codec is what was agreed on for one direction. The zero value: nothing.
type Codec struct {
	Method Method
	Window uint8 // of Deflate: binary logarithm of the history's length in bytes
}

// Overhead is how many bytes a packet that cannot be compressed is longer than without
// compression: RFC 2118, section 3, "If compressing the data results in data expansion,
// the original data is sent as an uncompressed MPPC packet", which has a header and the
// protocol field inside. Deflate sends it as if nothing were compressed.
func (c Codec) Overhead() int {
	if c.Method == MPPC {
		return HeaderLen + protocolLen
	}
	return 0
}

const protocolLen = 2

// Fault is why a compressed packet was not opened.
type Fault uint8

// The faults.
const (
	Fine    Fault = iota
	Unasked       // nothing was agreed on, or the agreement is not complete
	Late          // older than what came before it
	Lost          // a packet before it is missing
	Damaged       // not what the method makes
	TooLong       // more than MaxPacket bytes would come out
)

// Resets reports whether the history is lost, so that the peer must begin with an empty
// one before anything can be opened.
func (f Fault) Resets() bool { return f == Lost || f == Damaged || f == TooLong }
