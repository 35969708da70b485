package persona

import (
	"crypto/rsa"
	"crypto/x509"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/test/persona/wire"
)

// Profile is how one client differs from the others. Behaviour that nobody has observed
// on a wire is a field, and tests run through its range.
type Profile struct {
	Name string

	IKE  IKEProfile
	ESP  ESPProfile
	L2TP L2TPProfile
	PPP  PPPProfile
	Odd  Oddities

	Answers *Answers // how it behaves when it is called; nil: it is not
	Router  bool     // a network is behind it: packets for others are its, too

	// After runs once the network is up, Leave when the user disconnects.
	After func(*Client)
	Leave func(*Client)
}

// IKEProfile is phase 1.
type IKEProfile struct {
	SA      []byte   // body of message 1's SA payload
	Vendors [][]byte // vendor IDs, in order
	Nonce   int      // bytes

	IDProtocol     byte   // of the identification payload
	IDPort         uint16 // likewise
	InitialContact ContactForm
	GroupName      string // not empty: Aggressive Mode

	// Retry are the waits before each repetition of a message; after the last one the
	// client gives up.
	Retry []time.Duration

	// Fragment is the length of the pieces in which an unanswered message is repeated; 0:
	// it is repeated whole. FragmentAtOnce: a message is sent in pieces from the start,
	// if the server accepts fragments.
	Fragment       int
	FragmentAtOnce bool

	Signs *Signing // nil: it uses a pre-shared key

	SequentialIDs bool // Quick Mode message ids 1, 2, 3…
	DPD           bool // it offers RFC 3706

	// RefusesNATedServer: it builds no SA if NAT-D says that the server is
	// behind a NAT.
	RefusesNATedServer bool

	// StrictPayloads: any payload beyond those of RFC 2409 is fatal.
	StrictPayloads bool

	// RekeyOnNATT: a new phase 1 begins on port 4500.
	RekeyOnNATT bool

	// AlwaysPads: a message that fills its last block gets another block.
	AlwaysPads bool

	Keepalive time.Duration
	Life      time.Duration // a new phase 1 begins before this is over
}

// ContactForm is how a client sends INITIAL-CONTACT.
type ContactForm uint8

// The forms.
const (
	NoContact       ContactForm = iota
	ContactInMain5              // a notify in message 5
	ContactSeparate             // an Informational exchange after phase 1
)

// ESPProfile is Quick Mode and ESP.
type ESPProfile struct {
	// SA is the body of the SA payload with this SPI.
	SA    func(mode uint16, spi uint32) []byte
	Nonce int
	Port  uint16 // of IDci, and of L2TP; 0: an ephemeral one
	// AnyPort: IDci says port 0.
	AnyPort bool
	// AnyProtocol: IDci says protocol 0 and port 0, which means any (RFC 2407 section
	// 4.6.2).
	AnyProtocol bool
	NATOA       bool // NAT-OA payloads are sent
	Group       int  // for perfect forward secrecy, 0: none

	Window        uint32 // of the replay check
	SHA256Is96    bool   // HMAC-SHA2-256 is truncated to 96 bits
	DeleteFirst   bool   // the predecessor's SAs are deleted before message 3 of the successor
	KeepOld       time.Duration
	Life          time.Duration // the keys are renewed before this is over
	Kilobytes     int           // the same in kilobytes; 0: no limit
	InnerChecksum bool          // the inner UDP checksum is computed
	Behind        []byte        // follows the end of the inner UDP datagram, inside ESP
}

// L2TPProfile is the control connection.
type L2TPProfile struct {
	SCCRQ  func(tunnel uint16) []wire.AVP // after the message type
	ICRQ   func(session uint16) []wire.AVP
	ICCN   []wire.AVP
	Tunnel func(*Client) uint16 // chooses the tunnel id
	// Session chooses the session id.
	Session func(*Client) uint16

	Window int             // what the client announces, or RFC 2661's default of 4
	Retry  []time.Duration // waits after each copy; then the client gives up
	Length bool            // data messages have a length
	Ack    time.Duration   // how long an acknowledgement waits for a message to carry it

	Secret    string // of the tunnel: answers the server's challenge
	Challenge bool   // the server has to prove the secret
	Hide      bool   // AVPs that may be hidden are hidden

	// WaitsForZLB: ICRQ and PPP wait for the acknowledgement of what precedes them;
	// anything earlier is lost.
	WaitsForZLB bool
	// IDs, if set, returns the ids for the headers of control messages, in place of the
	// server's tunnel and session ids.
	IDs func(c *Client, tunnel, session uint16) (uint16, uint16)
	// AllIDs: SCCRQ has these ids as well.
	AllIDs bool
	// Behind is what follows the end of a control message, inside UDP.
	Behind []byte
	// Exact: a message whose Nr is not the client's next Ns is dropped.
	Exact bool
}

// PPPProfile is the link.
type PPPProfile struct {
	LCP   []wire.Option // a Magic-Number's value is filled in
	IPCP  []wire.Option
	IID   func(*Client) []byte // interface identifier
	ACSCP []wire.Option        // nil: not sent
	CCP   []wire.Option        // nil: not sent
	// NCPs is the order in which NCPs begin.
	NCPs []uint16

	FirstID   byte
	SharedIDs bool // one counter for all protocols

	Auth  [][]byte // values of option 3 that it accepts, its favourite first
	Retry time.Duration
	Tries int

	MRU           int  // the most that it accepts
	NeverNakZero  bool // a Nak with 0.0.0.0 is refused, and Nak beside Reject
	NoDNSInReq    bool // DNS options in the server's Configure-Request are refused
	NoCompression bool // frames without address and control, or with a short protocol, are misread
	Opened        func(*Client)

	// Start is how long PPP needs to start after the call is up; anything earlier is
	// lost.
	Start time.Duration

	LCPRejects []byte // options of the server's that it rejects

	// DeafOnceAcked: the client ignores the server's LCP requests once its own request is
	// acknowledged.
	DeafOnceAcked bool

	// Naks, if set, judges the server's requests of any control protocol before the
	// client does. It returns the options of a Configure-Nak, or nil to leave the
	// judgement to the client.
	Naks func(protocol uint16, list []wire.Option) []wire.Option
}

// Account is the identity with which a client connects, and the server it dials.
type Account struct {
	Server         netip.Addr // as dialled
	PSK            string
	User, Password string
	NewPassword    string // that the user thinks of when asked to; "": the user gives up

	// For routers that have the server authenticate itself, too: what it must show.
	PeerUser, PeerPassword string

	// For clients with certificates: the client's certificate, its key, the CA that it
	// trusts, and the name that was dialled, "" if that was the address.
	Certificate *x509.Certificate
	Key         *rsa.PrivateKey
	CA          *x509.Certificate
	Dialled     string
}
