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
	Secret    secret.Bytes // tunnel authentication and hidden AVPs; empty: none
	Challenge bool         // the peer has to prove that it has the secret, too
	Window    uint16       // our Receive Window Size, at least 4
	Sessions  int          // how many sessions the tunnel admits; 1 by default

	Hello        time.Duration // silence before we send a Hello; 0: never
	SetupTimeout time.Duration // an SCCRQ must lead to a tunnel within it
	CallTimeout  time.Duration // and an ICRQ to a session
	Sequencing   bool          // as LAC: ask for sequenced data
}

// Env is what a Tunnel is given and does not own.
type Env struct {
	Config *Config
	Rand   io.Reader
}

// Call is what a LAC says of a call that it places to the LNS.
type Call struct {
	Serial        uint32
	TxSpeed       uint32
	CallingNumber string
	CalledNumber  string
}
