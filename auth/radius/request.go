package radius

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2868"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/vendors/microsoft"

	"github.com/adit-vpn/adit/auth"
)

// Authenticate implements auth.Backend.
func (c *Client) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	return c.authenticate(ctx, r, conversation{})
}

// authenticate asks about a request, in an exchange that a server has begun, or in none.
func (c *Client) authenticate(ctx context.Context, r *auth.Request, v conversation) (auth.Response, error) {
	late := c.left.watch(c, r)
	reply, by, err := c.exchange(ctx, question{kind: authentication, user: r.User, at: v.at, late: late, build: func(secret []byte) (*radius.Packet, error) {
		p, err := c.accessRequest(secret, r)
		if state := cmp.Or(string(v.state), string(r.State)); state != "" {
			err = errors.Join(err, rfc2865.State_AddString(p, state))
		}
		return p, err
	}})
	if err != nil {
		return auth.Response{}, err
	}
	resp, err := c.judge(r, reply, by)
	resp.Server = by.address
	return resp, err
}

// judge reads the verdict in a server's reply.
func (c *Client) judge(r *auth.Request, reply *radius.Packet, by *service) (auth.Response, error) {
	if r.Method == auth.EAP {
		if answer, ok, err := eap(reply, conversation{c, by, nil}); !ok {
			return answer, err
		}
	}
	switch reply.Code {
	case radius.CodeAccessAccept:
		set := c.set.Load()
		resp, ignored, err := accepted(r, reply, set.ClassGroup)
		ignored = append(ignored, set.named(by, r.User, &resp.Grant)...)
		resp.Warnings = append(resp.Warnings, c.ignored.fresh(by.address, ignored)...)
		return resp, err
	case radius.CodeAccessReject:
		return rejected(reply), nil
	}
	// RFC 2865, section 4.4: "If the NAS does not support challenge/response, it MUST treat an
	// Access-Challenge as though it had received an Access-Reject instead." We do, and nothing
	// between us and the user's screen could: a client has one dialog, before it calls.
	return auth.Response{
		Verdict: auth.NotAllowed,
		Message: message(reply),
		Detail: "the RADIUS server asks a further question (Access-Challenge), which a client cannot be shown by " + r.Method.String() +
			": have the server push to a telephone, or take the code right behind the password; clients with EAP can be asked",
	}, nil
}

func (c *Client) accessRequest(secret []byte, r *auth.Request) (*radius.Packet, error) {
	p := radius.New(radius.CodeAccessRequest, secret)
	var zero [16]byte
	errs := []error{
		// It comes first, so that nobody can choose what precedes it for a collision
		// (CVE-2024-3596).
		rfc2869.MessageAuthenticator_Add(p, zero[:]),
		rfc2865.UserName_AddString(p, r.User),
		c.addCall(p, &r.Call),
		addCredentials(p, r),
	}
	return p, errors.Join(errs...)
}

// addCredentials adds what proves who the user is.
func addCredentials(p *radius.Packet, r *auth.Request) error {
	switch r.Method {
	case auth.EAP:
		return addEAP(p, r)
	case auth.PAP:
		return rfc2865.UserPassword_Add(p, r.Password.Reveal())
	case auth.CHAP:
		if len(r.Response) != 16 {
			return errors.New("radius: a CHAP response is 16 bytes")
		}
		return errors.Join(
			rfc2865.CHAPPassword_Add(p, append([]byte{r.ID}, r.Response...)),
			rfc2865.CHAPChallenge_Add(p, r.Challenge))
	case auth.MSCHAPv2:
		if len(r.Response) != 49 || len(r.Challenge) != 16 {
			return errors.New("radius: an MS-CHAPv2 response is 49 bytes")
		}
		// RFC 2548, section 2.3.2: Ident, Flags, Peer-Challenge, Reserved,
		// Response. CHAP carries the flags last.
		if r.Change != nil {
			return addChange(p, r)
		}
		v := append([]byte{r.ID, 0}, r.Response[:48]...)
		return errors.Join(
			microsoft.MSCHAPChallenge_Add(p, r.Challenge),
			microsoft.MSCHAP2Response_Add(p, v))
	}
	return errors.New("radius: unknown method " + r.Method.String())
}

// addCall adds where the attempt comes from, the same in accounting.
func (c *Client) addCall(p *radius.Packet, call *auth.Call) error {
	local, remote := call.Local.Addr().Unmap(), call.Remote.Addr().Unmap()
	errs := []error{
		c.addNAS(p, local),
		rfc2865.NASPort_Add(p, rfc2865.NASPort(call.Port)),
		rfc2865.NASPortType_Add(p, rfc2865.NASPortType_Value_Virtual),
		rfc2865.ServiceType_Add(p, rfc2865.ServiceType_Value_FramedUser),
		rfc2865.FramedProtocol_Add(p, rfc2865.FramedProtocol_Value_PPP),
		rfc2866.AcctSessionID_AddString(p, call.SessionID),
		rfc2865.CallingStationID_AddString(p, remote.String()),
		rfc2865.CalledStationID_AddString(p, local.String()),
		rfc2868.TunnelType_Add(p, 0, rfc2868.TunnelType_Value_L2TP),
		rfc2868.TunnelMediumType_Add(p, 0, medium(local)),
		rfc2868.TunnelClientEndpoint_AddString(p, 0, remote.String()),
		rfc2868.TunnelServerEndpoint_AddString(p, 0, local.String()),
		rfc2869.NASPortID_AddString(p, cmp.Or(call.PortID, fmt.Sprintf("l2tp-%d", call.Port))),
		rfc2869.ConnectInfo_AddString(p, cmp.Or(call.Info, "L2TP/IPsec")),
		addMicrosoft(p, call),
	}
	if name := call.ClientName; name != "" { // RFC 2868, section 3.9
		errs = append(errs, rfc2868.TunnelClientAuthID_AddString(p, 0, name[:min(len(name), maxClientName)]))
	}
	return errors.Join(errs...)
}

// addMicrosoft adds what policies of NPS match on where the server before us was RRAS (RFC
// 2548, section 2.7.5 and following). The client's name and version are what Windows says itself in PPP; of others the name
// is that of L2TP. [MS-RNAP], section 2.2.1.1: it is "sent in ASCII format, and MUST be null
// terminated"; the version is, too.
//
// Deviation: MS-RAS-Vendor is the maker of the RADIUS client, and has to be a number of
// IANA's, which we have none of. Policies that were made for RRAS ask for Microsoft's.
func addMicrosoft(p *radius.Packet, call *auth.Call) error {
	errs := []error{
		microsoft.MSRASVendor_Add(p, vendorMicrosoft),
		microsoft.MSRASVersion_AddString(p, "adit"),
	}
	if name := ras(cmp.Or(call.RASName, call.ClientName)); name != "" {
		errs = append(errs, microsoft.MSRASClientName_AddString(p, name+"\x00"))
	}
	if version := ras(call.RASVersion); version != "" {
		errs = append(errs, microsoft.MSRASClientVersion_AddString(p, version+"\x00"))
	}
	return errors.Join(errs...)
}

// maxClientName bounds what a client says of itself; [MS-RNAP] allows 33 bytes with the last one.
const (
	maxClientName = 64
	maxRAS        = 32
)

// ras is a text of a client's with the characters that [MS-RNAP] allows.
func ras(text string) string {
	text = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("!@#$%^&')(.-_{}~", r) {
			return r
		}
		return -1
	}, text)
	return text[:min(len(text), maxRAS)]
}

// addNAS adds who we are: the addresses that the configuration names, or if it names none,
// the one that the client has reached.
func (c *Client) addNAS(p *radius.Packet, local netip.Addr) error {
	cfg := &c.set.Load().Config
	four, six := cfg.NASIP, cfg.NASIP6
	if !four.IsValid() && !six.IsValid() {
		if local.Is4() {
			four = local
		} else {
			six = local
		}
	}
	errs := []error{rfc2865.NASIdentifier_AddString(p, cfg.NASIdentifier)}
	if four.IsValid() {
		errs = append(errs, rfc2865.NASIPAddress_Add(p, net.IP(four.AsSlice())))
	}
	if six.IsValid() {
		errs = append(errs, rfc3162.NASIPv6Address_Add(p, net.IP(six.AsSlice())))
	}
	return errors.Join(errs...)
}

func medium(a netip.Addr) rfc2868.TunnelMediumType {
	if a.Is4() {
		return rfc2868.TunnelMediumType_Value_IPv4
	}
	return rfc2868.TunnelMediumType_Value_IPv6
}

// rejected reads the reason for a refusal, as far as the server gives one.
func rejected(reply *radius.Packet) auth.Response {
	r := auth.Response{Verdict: auth.BadCredentials, Detail: "Access-Reject", Message: message(reply)}
	text := string(microsoft.MSCHAPError_Get(reply))
	// RFC 2548, section 2.1.5: Ident, then "E=691 R=0 C=…".
	if i := strings.Index(text, "E="); i >= 0 {
		n := 0
		for _, d := range text[i+2:] {
			if d < '0' || d > '9' || n > 9999 {
				break
			}
			n = n*10 + int(d-'0')
		}
		r.Code = n
		if _, m, ok := strings.Cut(text, " M="); ok && r.Message == "" {
			r.Message = m
		}
		switch n {
		case 646, 647, 649: // restricted hours, disabled, no dial-in permission
			r.Verdict = auth.NotAllowed
		case 648:
			r.Verdict = auth.PasswordExpired
		}
	}
	return r
}

func message(reply *radius.Packet) string {
	texts, err := rfc2865.ReplyMessage_GetStrings(reply)
	if err != nil {
		return ""
	}
	return strings.Join(texts, " ")
}
