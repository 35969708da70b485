package halfopen

import (
	"testing"
	"testing/synctest"
	"time"
)

// In a flood first messages have a thirtieth of a processor; where only some wait, all of it.
func TestFirstMessagesHaveAShareInAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := make(chan firstMessage, queueSize)
		began, answered := time.Now(), 0
		var of pace
		for time.Since(began) < 10*time.Second {
			if of.queue(first) == nil {
				<-of.rest
				of = pace{}
				continue
			}
			time.Sleep(10 * time.Microsecond) // what it takes to answer one
			answered++
			of.took(10*time.Microsecond, queueSize-1)
		}
		if want := 10 * 100_000 / paceShare; answered < want*9/10 || answered > want*11/10 {
			t.Errorf("%d are answered in 10 s, want about %d", answered, want)
		}
		for range 10 * paceMessages {
			of.took(10*time.Microsecond, queueSize/2-1)
			if of.queue(first) == nil {
				t.Fatal("they rest where nobody else wants the processor")
			}
		}
	})
}
