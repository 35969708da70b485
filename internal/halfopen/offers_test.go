package halfopen

import "testing"

// A first message that many users' clients send is not displaced by those that one user's
// client sends.
func TestKnownFirstMessagesStay(t *testing.T) {
	var o offers
	message := func(n byte) []byte {
		b := make([]byte, 40)
		b[0], b[16], b[17], b[18], b[27], b[39] = n, 1, 0x10, 2, 40, n
		return b
	}
	for range 3 {
		o.learn(message(1))
	}
	for n := range 200 {
		o.learn(message(byte(n)))
	}
	known := o.find(message(1))
	if known == nil || o.at(known.index) != known {
		t.Fatal("it is forgotten")
	}
	if got := known.from([8]byte{7}); got[0] != 7 || got[39] != 1 {
		t.Errorf("%x comes back", got)
	}
	if n := len(o.table.Load().hash); n != maxOffers {
		t.Errorf("%d are known, want %d", n, maxOffers)
	}
	if o.at(0) != nil || o.at(maxOffers+1) != nil || o.find(message(0)[:39]) != nil || o.find(nil) != nil {
		t.Error("what is not known is found")
	}
}
