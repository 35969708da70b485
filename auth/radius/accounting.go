package radius

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"

	"github.com/adit-vpn/adit/auth"
)

// Accounting's bounds.
const (
	queueCount = 8    // sessions are spread over so many queues
	queueSize  = 4096 // records that wait in one
	retryFirst = time.Second
	retryLast  = time.Minute
	giveUp     = 24 * time.Hour // records older than that are of no use
	closeTime  = 8 * time.Second
	classRoom  = 2048 // bytes of Class attributes; a packet has 4096
)

// queue sends the records of some sessions, in order.
type queue struct {
	records chan auth.Record
	done    chan struct{}
}

func (c *Client) startQueues() {
	ctx, cancel := context.WithCancel(context.Background())
	stop := make(chan struct{})
	c.stop = func() { close(stop) }
	c.cancel = cancel
	for range queueCount {
		q := &queue{records: make(chan auth.Record, queueSize), done: make(chan struct{})}
		c.queues = append(c.queues, q)
		go c.drain(ctx, q, stop)
	}
}

// Account implements auth.Accountant. A record that finds its queue full is
// given up, and Problem is told.
func (c *Client) Account(r auth.Record) {
	if len(c.order(accounting)) == 0 {
		return
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.Call.SessionID))
	select {
	case c.queues[h.Sum32()%queueCount].records <- r:
	default:
		c.cfg.Problem(fmt.Sprintf("the queue is full: a record of session %s is lost", r.Call.SessionID))
	}
}

// Close sends what waits, for some seconds, and ends the client.
func (c *Client) Close() error {
	c.stop()
	timer := time.AfterFunc(closeTime, c.cancel)
	defer timer.Stop()
	defer c.cancel()
	left := 0
	for _, q := range c.queues {
		<-q.done
		left += len(q.records)
	}
	if left > 0 {
		return fmt.Errorf("%d accounting records could not be sent: %w", left, ErrNoAnswer)
	}
	return nil
}

// drain sends records until the client is closed and none is left, or the time
// for that is over.
func (c *Client) drain(ctx context.Context, q *queue, stop <-chan struct{}) {
	defer close(q.done)
	for {
		select {
		case r := <-q.records:
			c.deliver(ctx, r)
			continue
		default:
		}
		select {
		case r := <-q.records:
			c.deliver(ctx, r)
		case <-stop:
			if len(q.records) == 0 || ctx.Err() != nil {
				return
			}
		}
	}
}

// deliver sends one record, again and again with growing pauses.
func (c *Client) deliver(ctx context.Context, r auth.Record) {
	pause := retryFirst
	for told := false; ; {
		_, err := c.exchange(ctx, accounting, func(secret []byte) (*radius.Packet, error) {
			return c.accountingRequest(secret, &r)
		})
		if err == nil {
			return
		}
		if ctx.Err() != nil || errors.Is(err, errRequest) || time.Since(r.Time) > giveUp {
			c.cfg.Problem(fmt.Sprintf("a record of session %s is lost: %v", r.Call.SessionID, err))
			return
		}
		if !told {
			told = true
			c.cfg.Problem(fmt.Sprintf("records wait: %v", err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, retryLast)
	}
}

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
		rfc2865.FramedIPAddress_Add(p, net.IP(r.Address.AsSlice())),
		addIPv6(p, &r.IPv6),
		rfc2866.AcctAuthentic_Add(p, rfc2866.AcctAuthentic_Value_RADIUS),
		rfc2869.EventTimestamp_Add(p, r.Time),
		rfc2866.AcctDelayTime_Add(p, rfc2866.AcctDelayTime(max(0, time.Since(r.Time))/time.Second)),
	}
	room := classRoom
	for _, class := range r.Class {
		// RFC 2865, section 5.25 has all of them sent back, unless the packet
		// then is none: the session counts for more.
		if room -= len(class) + 2; room < 0 {
			break
		}
		errs = append(errs, rfc2865.Class_Add(p, class))
	}
	if r.Status != auth.Start {
		errs = append(errs,
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
	if r.Status == auth.Stop {
		errs = append(errs, rfc2866.AcctTerminateCause_Add(p, rfc2866.AcctTerminateCause(r.Cause)))
	}
	return p, errors.Join(errs...)
}
