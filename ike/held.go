package ike

// Held is how many bytes of the peer's messages the SA keeps: its offer (until it
// is authenticated), its certificates, and fragments of a message.
func (s *SA) Held() int {
	n := s.st.Parts.Size
	if s.st.exchange != nil {
		n += len(s.st.Offer)
	}
	for _, der := range s.st.Certs {
		n += len(der)
	}
	return n
}
