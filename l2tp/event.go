package l2tp

// Event is what a Tunnel tells its driver. Drain them after every call.
type Event interface{ event() }

// Send asks the driver to send one control message (UDP payload) to the peer.
type Send struct {
	Data []byte // valid until the next call into the tunnel
}

// TunnelUp says that the control connection is established.
type TunnelUp struct{ Peer Peer }

// SessionUp says that a session is established and data may flow.
type SessionUp struct{ Session Session }

// SessionDown says that an established session has ended. The driver closes
// its PPP link. It comes before the tunnel's own TunnelDown.
type SessionDown struct {
	Local  uint16
	Result Result
	Remote bool // the peer ended it
}

// CallFailed says that a call ended before it was established.
type CallFailed struct {
	Local  uint16
	Result Result
	Remote bool
}

// LinkInfo carries a Set-Link-Info (RFC 2661, section 6.14) from the peer.
type LinkInfo struct {
	Local                 uint16
	SendACCM, ReceiveACCM uint32
}

// TunnelDown says that a tunnel and all of its sessions have ended. The tunnel may
// still send acknowledgements, until Closed.
type TunnelDown struct {
	Result Result
	Remote bool
	Secret bool // the peer ended the tunnel while secrets were being proved
}

// Closed says that nothing remains to be sent or acknowledged.
type Closed struct{}

func (Send) event()        {}
func (TunnelUp) event()    {}
func (SessionUp) event()   {}
func (SessionDown) event() {}
func (CallFailed) event()  {}
func (LinkInfo) event()    {}
func (TunnelDown) event()  {}
func (Closed) event()      {}

// Peer is what the control connection told about the other end. Its strings come
// from the peer: use them as log fields, never as message text.
type Peer struct {
	HostName, Vendor string
	Firmware         uint16
	Tunnel           uint16 // its Assigned Tunnel ID
	Window           uint16
	Framing, Bearer  uint32
}

// Session is one established call.
type Session struct {
	Local, Remote uint16 // session ids: ours, and the peer's Assigned Session ID
	Serial        uint32
	TxSpeed       uint32 // bit/s, as the LAC reported
	Sequencing    bool   // both ends number data messages
	CallingNumber string
	CalledNumber  string
}
