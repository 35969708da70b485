package radius

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/vendors/microsoft"

	"github.com/adit-vpn/adit/auth"
)

// classRoom is how many bytes of Class attributes a record has; a packet has 4096.
const classRoom = 2048

// accountingRequest is a record as a packet. RFC 2866, section 5.2: Acct-Delay-Time grows
// when a record is sent anew, and with it the identifier and the authenticator change;
// Event-Timestamp stays.
func (c *Client) accountingRequest(secret []byte, r *auth.Record) (*radius.Packet, error) {
	p := radius.New(radius.CodeAccountingRequest, secret)
	status := map[auth.Status]rfc2866.AcctStatusType{
		auth.Start: rfc2866.AcctStatusType_Value_Start, auth.Interim: rfc2866.AcctStatusType_Value_InterimUpdate,
		auth.Stop: rfc2866.AcctStatusType_Value_Stop,
	}
	errs := []error{
		rfc2866.AcctStatusType_Add(p, status[r.Status]),
		rfc2865.UserName_AddString(p, r.User),
		c.addCall(p, &r.Call),
		rfc2866.AcctAuthentic_Add(p, authority(r.By)),
		addIPv6(p, &r.IPv6),
		rfc2869.EventTimestamp_Add(p, r.Time),
		rfc2866.AcctDelayTime_Add(p, delay(r.Time)),
	}
	if r.Address.Is4() {
		errs = append(errs, rfc2865.FramedIPAddress_Add(p, net.IP(r.Address.AsSlice())))
	}
	if r.Call.Multi != "" {
		errs = append(errs,
			rfc2866.AcctMultiSessionID_AddString(p, r.Call.Multi),
			rfc2866.AcctLinkCount_Add(p, rfc2866.AcctLinkCount(r.Call.Links)))
	}
	if len(r.LogonDomain) > 0 {
		errs = append(errs, microsoft.MSCHAPDomain_Add(p, r.LogonDomain))
	}
	room := classRoom
	for _, class := range r.Class {
		// RFC 2865, section 5.25 wants all of them sent back. Those that would make the packet
		// too long are left out: the record matters more.
		if room -= len(class) + 2; room < 0 {
			break
		}
		errs = append(errs, rfc2865.Class_Add(p, class))
	}
	if r.Status != auth.Start {
		errs = append(errs, addFigures(p, r))
	}
	if r.Status == auth.Stop {
		errs = append(errs, rfc2866.AcctTerminateCause_Add(p, rfc2866.AcctTerminateCause(r.Cause)))
	}
	return p, errors.Join(errs...)
}

// addFigures adds what the session has carried.
func addFigures(p *radius.Packet, r *auth.Record) error {
	return errors.Join(
		rfc2866.AcctSessionTime_Add(p, rfc2866.AcctSessionTime(r.Duration/time.Second)),
		// RFC 2869, sections 5.1 and 5.2: gigawords count how often the
		// octets have wrapped around 2^32.
		rfc2866.AcctInputOctets_Add(p, rfc2866.AcctInputOctets(uint32(r.InputOctets))),
		rfc2869.AcctInputGigawords_Add(p, rfc2869.AcctInputGigawords(r.InputOctets>>32)),
		rfc2866.AcctOutputOctets_Add(p, rfc2866.AcctOutputOctets(uint32(r.OutputOctets))),
		rfc2869.AcctOutputGigawords_Add(p, rfc2869.AcctOutputGigawords(r.OutputOctets>>32)),
		rfc2866.AcctInputPackets_Add(p, rfc2866.AcctInputPackets(uint32(r.InputPackets))),
		rfc2866.AcctOutputPackets_Add(p, rfc2866.AcctOutputPackets(uint32(r.OutputPackets))))
}

// authority says who accepted the user. Records of before that was kept are of RADIUS's.
func authority(by auth.Authority) rfc2866.AcctAuthentic {
	if by == auth.ByLocal {
		return rfc2866.AcctAuthentic_Value_Local
	}
	return rfc2866.AcctAuthentic_Value_RADIUS
}

func delay(since time.Time) rfc2866.AcctDelayTime {
	return rfc2866.AcctDelayTime(max(0, time.Since(since)) / time.Second)
}

// announcement is an Accounting-On or -Off. Its Acct-Session-Id is the run's: a record MUST
// have one (RFC 2866, section 5.5).
func (c *Client) announcement(secret []byte, status rfc2866.AcctStatusType, own netip.Addr, began, at time.Time) (*radius.Packet, error) {
	p := radius.New(radius.CodeAccountingRequest, secret)
	errs := []error{
		rfc2866.AcctStatusType_Add(p, status),
		c.addNAS(p, own),
		rfc2866.AcctSessionID_AddString(p, fmt.Sprintf("%016x", began.UnixNano())),
		rfc2869.EventTimestamp_Add(p, at),
		rfc2866.AcctDelayTime_Add(p, delay(at)),
	}
	return p, errors.Join(errs...)
}
