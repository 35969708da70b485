package sim

import (
	"context"
	"slices"
	"testing"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/vpn"
)

// speaking is a backend that says something with each verdict.
type speaking struct {
	*granting
	verdict auth.Verdict
}

func (b *speaking) Authenticate(ctx context.Context, r *auth.Request) (auth.Response, error) {
	resp, err := b.granting.Authenticate(ctx, r)
	resp.Message, resp.Warnings = "Words for alice", []string{"Framed-Route (22) cannot be read"}
	if b.verdict != auth.Accepted {
		resp.Verdict = b.verdict
	}
	return resp, err
}

// What a backend says to the user, and what could not be read in its answer, reaches the
// administrator, whatever the verdict; a user who is accepted connects.
func TestTheBackendsWordsReachTheLog(t *testing.T) {
	for _, verdict := range []auth.Verdict{auth.Accepted, auth.BadCredentials, auth.NotAllowed} {
		t.Run(verdict.String(), func(t *testing.T) {
			in(t, func(t *testing.T) {
				w := New(t, Options{Backend: &speaking{backend(auth.Grant{}), verdict}})
				l := w.Laptop(w.Net.Host("198.51.100.7"), nil)
				d, err := l.Connect(ServerAddr)
				if (err == nil) != (verdict == auth.Accepted) {
					t.Errorf("connecting: %v", err)
				}
				if err == nil {
					passes(t, w, l, d, 7)
				}
				done := All[vpn.AuthDone](w.Events)
				if len(done) == 0 || done[0].Verdict != verdict || done[0].Message != "Words for alice" || !slices.Equal(done[0].Warnings, []string{"Framed-Route (22) cannot be read"}) {
					t.Errorf("the events are %+v", done)
				}
			})
		})
	}
}
