package ppp

// verdict collects the answer to a Configure-Request. Each option is rejected, answered
// with another value (Nak), or acceptable. Rejects are sent alone and before Naks; the
// two are never mixed.
type verdict struct {
	l       *Link
	y       layer
	rejects []byte
	naks    []byte // the values that we suggest
	naked   []byte // the peer's options that naks answer, to be rejected once Naks do not help
	seen    [256]bool
	only    []byte // if set, the whole answer, replacing everything else
}

func newVerdict(l *Link, y layer) verdict { return verdict{l: l, y: y} }

func (v *verdict) reject(o option) {
	v.rejects = append(v.rejects, o.raw...)
}

// nak suggests want in place of o, once per kind and packet.
func (v *verdict) nak(o option, want []byte) {
	v.naked = append(v.naked, o.raw...)
	v.add(o.kind, want)
}

// add asks for an option that the peer did not mention.
func (v *verdict) add(kind byte, want []byte) {
	if !v.seen[kind] {
		v.seen[kind] = true
		v.naks = append(v.naks, want...)
	}
}

// suspect answers a packet that may be our own, looped back. The only answer is another
// magic number: rejecting options that we asked for ourselves would cause confusion.
func (v *verdict) suspect(want []byte) { v.only = want }

// result is the code and the options of the answer. RFC 1661, section 4.6:
// after Max-Failure Naks "without sending a Configure-Ack before assuming that
// configuration is not converging. Any further Configure-Nak packets for peer
// requested options are converted to Configure-Reject packets, and locally
// desired options are no longer appended."
func (v *verdict) result() (byte, []byte) {
	spent := v.y.auto().naks >= maxFailure
	switch {
	case v.only != nil:
		return codeConfigureNak, v.only
	case v.rejects != nil:
		return v.say(codeConfigureReject, NoteOptionRejected, v.rejects)
	case spent && v.naked != nil:
		return v.say(codeConfigureReject, NoteOptionRejected, v.naked)
	case !spent && v.naks != nil:
		return v.say(codeConfigureNak, NoteOptionNaked, v.naks)
	}
	return codeConfigureAck, nil
}

// say notes every option of an answer that is not an Ack.
func (v *verdict) say(code byte, k NoteKind, opts []byte) (byte, []byte) {
	for b := opts; len(b) >= 2; b = b[b[1]:] {
		v.l.note(k, v.y.protocol(), b[0])
	}
	return code, opts
}
