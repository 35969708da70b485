package l2tp

import (
	"io"
	"time"

	"github.com/adit-vpn/adit/internal/secret"
)

// Config is a tunnel's policy. It is immutable and may be shared.
type Config struct {
	HostName  string
	Vendor    string
	Secret    secret.Bytes // for tunnel authentication and hidden AVPs; empty: none
	Challenge bool         // the peer, too, has to prove that it knows the secret
	Window    uint16       // our Receive Window Size, at least 4
	Sessions  int          // how many sessions the tunnel admits; 1 by default

	Hello        time.Duration // after this much silence we send a HELLO; 0: never
	SetupTimeout time.Duration // time from an SCCRQ to an established tunnel
	CallTimeout  time.Duration // time from an ICRQ to an established session
	Sequencing   bool          // as LAC: ask for sequenced data
}

// Env is what a Tunnel uses but does not own.
type Env struct {
	Config *Config
	Rand   io.Reader
}

// Call is what a LAC tells the LNS about a call.
type Call struct {
	Serial        uint32
	TxSpeed       uint32
	CallingNumber string
	CalledNumber  string
}
