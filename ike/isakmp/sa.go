package isakmp

import "encoding/binary"

// SA is a security association payload with all its proposals (RFC 2408,
// section 3.4; RFC 2407, section 4.6.1), for the IPsec DOI and the situation
// SIT_IDENTITY_ONLY.
type SA struct{ Proposals []Proposal }

// Proposal is a proposal payload (RFC 2408, section 3.5). Proposals with the same
// number are meant to be applied together.
type Proposal struct {
	Number     uint8
	Protocol   Protocol
	SPI        []byte
	Transforms []Transform
}

// Transform is a transform payload (RFC 2408, section 3.6).
type Transform struct {
	Number     uint8
	ID         uint8
	Attributes []Attribute
}

// Type implements Payload.
func (SA) Type() PayloadType { return PayloadSA }

// AppendBody implements Payload.
func (s SA) AppendBody(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, DOIIPsec)
	b = binary.BigEndian.AppendUint32(b, SituationIdentityOnly)
	list := make([]Payload, len(s.Proposals))
	for i, p := range s.Proposals {
		list[i] = p
	}
	return Append(b, list...)
}

// Type implements Payload.
func (Proposal) Type() PayloadType { return PayloadProposal }

// AppendBody implements Payload.
func (p Proposal) AppendBody(b []byte) []byte {
	b = append(b, p.Number, byte(p.Protocol), byte(len(p.SPI)), byte(len(p.Transforms)))
	b = append(b, p.SPI...)
	list := make([]Payload, len(p.Transforms))
	for i, t := range p.Transforms {
		list[i] = t
	}
	return Append(b, list...)
}

// Type implements Payload.
func (Transform) Type() PayloadType { return PayloadTransform }

// AppendBody implements Payload.
func (t Transform) AppendBody(b []byte) []byte {
	return AppendAttributes(append(b, t.Number, t.ID, 0, 0), t.Attributes)
}

// ParseSA reads the body of an SA payload. A DOI or situation other than ours
// makes it malformed.
func ParseSA(body []byte) (SA, error) {
	if len(body) < 8 {
		return SA{}, malformed("SA body of %d bytes", len(body))
	}
	if doi := binary.BigEndian.Uint32(body); doi != DOIIPsec {
		return SA{}, malformed("SA of DOI %d", doi)
	}
	if s := binary.BigEndian.Uint32(body[4:]); s != SituationIdentityOnly {
		return SA{}, malformed("SA in situation %d", s)
	}
	raws, err := nested(PayloadProposal, body[8:])
	if err != nil {
		return SA{}, err
	}
	s := SA{make([]Proposal, len(raws))}
	for i, r := range raws {
		if s.Proposals[i], err = parseProposal(r.Body); err != nil {
			return SA{}, err
		}
	}
	return s, nil
}

func parseProposal(b []byte) (Proposal, error) {
	if len(b) < 4 {
		return Proposal{}, malformed("proposal of %d bytes", len(b))
	}
	p := Proposal{Number: b[0], Protocol: Protocol(b[1])}
	size := int(b[2]) // b[3], the number of transforms, is ignored: those that are there count
	b = b[4:]
	if size > len(b) {
		return Proposal{}, malformed("SPI of %d bytes in %d", size, len(b))
	}
	p.SPI, b = b[:size], b[size:]
	raws, err := nested(PayloadTransform, b)
	if err != nil {
		return Proposal{}, err
	}
	p.Transforms = make([]Transform, len(raws))
	for i, r := range raws {
		if p.Transforms[i], err = parseTransform(r.Body); err != nil {
			return Proposal{}, err
		}
	}
	return p, nil
}

func parseTransform(b []byte) (Transform, error) {
	if len(b) < 4 {
		return Transform{}, malformed("transform of %d bytes", len(b))
	}
	attributes, err := ParseAttributes(b[4:])
	if err != nil {
		attributes = nil // this transform offers nothing; others may
	}
	return Transform{b[0], b[1], attributes}, nil
}

// nested splits a chain that may hold payloads of one type only. Bytes behind the
// last one, up to the end of the payload around them, are padding.
func nested(want PayloadType, b []byte) ([]Raw, error) {
	raws, _, err := Chain(want, b)
	if err != nil {
		return nil, err
	}
	for _, r := range raws {
		if r.Kind != want {
			return nil, malformed("%v payload among %v payloads", r.Kind, want)
		}
	}
	return raws, nil
}
