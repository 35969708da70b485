package radius

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"

	"github.com/adit-vpn/adit/auth"
)

// leaser is a server that answers logins after a while, and keeps the records that it gets.
type leaser struct {
	mu      sync.Mutex
	records []*radius.Packet
}

func (s *leaser) handle(code radius.Code, address net.IP) func(p *radius.Packet, raw []byte) []byte {
	return func(p *radius.Packet, _ []byte) []byte {
		if p.Code == radius.CodeAccountingRequest {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.records = append(s.records, p)
			b, _ := p.Response(radius.CodeAccountingResponse).Encode()
			return b
		}
		time.Sleep(5 * time.Second)
		return signed(p, code, func(r *radius.Packet) {
			if address != nil {
				_ = rfc2865.FramedIPAddress_Add(r, address)
			}
		})
	}
}

// kinds are the records of sessions, as text.
func (s *leaser) kinds() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.records {
		if kind := rfc2866.AcctStatusType_Get(p); kind != rfc2866.AcctStatusType_Value_AccountingOn {
			list = append(list, fmt.Sprintf("%v %s %s %v port %d from %s", kind, rfc2866.AcctSessionID_GetString(p), rfc2865.UserName_GetString(p),
				rfc2865.FramedIPAddress_Get(p), rfc2865.NASPort_Get(p), rfc2865.CallingStationID_GetString(p)))
		}
	}
	slices.Sort(list)
	return list
}

// A server that accepts a user whose client has gone by then, or was refused because the answer took
// too long, gets its lease back. Not where the user has come again.
func TestALeaseThatCameTooLateIsGivenBack(t *testing.T) {
	lease := net.IPv4(10, 83, 0, 9)
	back := []string{"Start 0123-late alice 10.83.0.9 port 7 from 198.51.100.7", "Stop 0123-late alice 10.83.0.9 port 7 from 198.51.100.7"}
	for name, tt := range map[string]struct {
		code     radius.Code
		address  net.IP
		leave    time.Duration
		patience time.Duration
		again    bool
		want     []string
	}{
		"the client leaves":      {radius.CodeAccessAccept, lease, time.Second, time.Minute, false, back},
		"no more patience":       {radius.CodeAccessAccept, lease, time.Minute, 3 * time.Second, false, back},
		"no lease":               {radius.CodeAccessAccept, nil, time.Second, time.Minute, false, nil},
		"refused":                {radius.CodeAccessReject, lease, time.Second, time.Minute, false, nil},
		"the client stays":       {radius.CodeAccessAccept, lease, time.Minute, time.Minute, false, nil},
		"the client comes again": {radius.CodeAccessAccept, lease, time.Second, time.Minute, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var s leaser
				c := client(t, Config{Patience: tt.patience}, serve(t, s.handle(tt.code, tt.address)))
				ctx, cancel := context.WithTimeout(t.Context(), tt.leave)
				defer cancel()
				_, _ = c.Authenticate(ctx, papRequest())
				if tt.again {
					r := papRequest()
					r.User = `DOMAIN\Alice`
					if _, err := c.Authenticate(t.Context(), r); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(20 * time.Second)
				if got := s.kinds(); !slices.Equal(got, tt.want) {
					t.Errorf("records\n%q, want\n%q", got, tt.want)
				}
			})
		})
	}
}

// However many users there are, few are known.
func TestFewLateLoginsAreKnown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := client(t, Config{}, serve(t, nil))
		for i := range 2 * maxLeft {
			c.left.watch(c, &auth.Request{User: fmt.Sprint("user", i), Call: auth.Call{Remote: netip.AddrPort{}}})
		}
		if n := len(c.left.last); n > maxLeft {
			t.Errorf("%d are known", n)
		}
		time.Sleep(time.Hour)
		c.left.watch(c, papRequest())
		if n := len(c.left.last); n != 1 {
			t.Errorf("an hour later %d are known", n)
		}
	})
}
