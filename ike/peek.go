package ike

import (
	"fmt"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// Exchange is an ISAKMP exchange type.
type Exchange = isakmp.Exchange

// The exchanges that a driver tells apart.
const (
	ExchangeMain          = isakmp.ExchangeMain
	ExchangeAggressive    = isakmp.ExchangeAggressive
	ExchangeInformational = isakmp.ExchangeInformational
	ExchangeQuick         = isakmp.ExchangeQuick
)

// Header is what can be read of a message without any state. It is enough to find
// the message's SA.
type Header struct {
	Cookies   Cookies
	Exchange  Exchange
	MessageID uint32 // 0 in phase 1
	Encrypted bool
	Length    int // bytes; anything that follows does not belong to the message
}

// FirstMessage reports whether the message begins a phase 1, and so is for Answer.
func (h Header) FirstMessage() bool {
	return h.Cookies.Responder == [8]byte{} && h.Cookies.Initiator != [8]byte{} && h.MessageID == 0 && !h.Encrypted &&
		(h.Exchange == ExchangeMain || h.Exchange == ExchangeAggressive)
}

// Peek reads a message's header. It fails with ErrVersion for any version but IKE
// version 1. Otherwise it fails with ErrMalformed; if a part of the message is
// missing, that error is ErrTruncated, too.
func Peek(msg []byte) (Header, error) {
	h, _, err := parseHeader(msg)
	if err != nil {
		return Header{}, err
	}
	return Header{
		Cookies:   Cookies{h.InitiatorCookie, h.ResponderCookie},
		Exchange:  h.Exchange,
		MessageID: h.MessageID,
		Encrypted: h.Flags&isakmp.FlagEncryption != 0,
		Length:    int(h.Length),
	}, nil
}

func parseHeader(msg []byte) (isakmp.Header, []byte, error) {
	h, body, err := isakmp.ParseHeader(msg)
	if err != nil {
		return h, nil, err
	}
	// RFC 2408, section 3.1: a different minor version is accepted, a higher major
	// version is not.
	if h.Version>>4 != isakmp.Version1>>4 {
		return h, nil, fmt.Errorf("%w: %d.%d", ErrVersion, h.Version>>4, h.Version&15)
	}
	return h, body, nil
}
