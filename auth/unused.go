package auth

import "time"

// Unused are the records of a session that never came up, although a RADIUS server granted
// it addresses: these may be leases of the server's, which it takes back with a Stop that
// names them. There is a Start before it, because servers may know no session without one.
// There are none for other grants.
func Unused(id string, m Method, g Grant, now time.Time, cause Cause) []Record {
	if g.By != ByRADIUS || !g.Address.IsValid() && g.IPv6 == (IPv6{}) {
		return nil
	}
	r := Record{
		Status: Start, Call: Call{SessionID: id}, User: g.Called(), Address: g.Address, IPv6: g.IPv6,
		Method: m, Class: g.Class, By: g.By, LogonDomain: g.LogonDomain, Time: now,
	}
	stop := r
	stop.Status, stop.Cause = Stop, cause
	return []Record{r, stop}
}
