package radius

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"github.com/adit-vpn/adit/auth"
)

// Codes of EAP (RFC 3748, section 4).
const (
	eapRequest = 1
	eapSuccess = 3
)

// addEAP adds the peer's Response (RFC 3579, section 3.1). Without Framed-MTU servers send what
// is too long for the link.
func addEAP(p *radius.Packet, r *auth.Request) error {
	if len(r.EAP) < 5 {
		return errors.New("radius: a Response of EAP is at least 5 bytes")
	}
	err := rfc2869.EAPMessage_Set(p, r.EAP) // cut into attributes of 253 bytes
	if r.MTU > 0 {
		err = errors.Join(err, rfc2865.FramedMTU_Add(p, rfc2865.FramedMTU(r.MTU)))
	}
	return err
}

// errEAP says that a server breaks the rules of RFC 3579.
var errEAP = errors.New("the RADIUS server's answer does not carry EAP as it has to")

// eap reads the packet of EAP in a reply. If the exchange goes on, answer says how. ok says
// that the reply is a verdict: what is in an Access-Accept must not contradict it (RFC 3579,
// section 2.6.3). v is the exchange, which goes on where it is.
func eap(reply *radius.Packet, v conversation) (answer auth.Response, ok bool, err error) {
	var packet []byte
	for _, a := range reply.Attributes {
		if a.Type == rfc2869.EAPMessage_Type {
			packet = append(packet, a.Attribute...)
		}
	}
	if len(packet) > 0 && (len(packet) < 4 || int(binary.BigEndian.Uint16(packet[2:])) != len(packet)) {
		return answer, false, fmt.Errorf("%w: its EAP-Message has another length than it says", errEAP)
	}
	switch reply.Code {
	case radius.CodeAccessChallenge:
		if len(packet) == 0 || packet[0] != eapRequest {
			return answer, false, fmt.Errorf("%w: an Access-Challenge has no Request in it", errEAP)
		}
		v.state = rfc2865.State_Get(reply)
		return auth.Response{Verdict: auth.Asked, EAP: packet, Next: v}, false, nil
	case radius.CodeAccessAccept:
		if len(packet) > 0 && packet[0] != eapSuccess {
			return answer, false, fmt.Errorf("%w: an Access-Accept has no Success in it", errEAP)
		}
	}
	return answer, true, nil
}

// conversation is an exchange of EAP that a server has begun. No other server knows of it.
type conversation struct {
	c     *Client
	at    *service
	state []byte
}

// Authenticate implements auth.Backend: it is the next step.
func (v conversation) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	return v.c.authenticate(ctx, r, v)
}
