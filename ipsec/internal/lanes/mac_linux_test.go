package lanes

import (
	"fmt"
	"testing"
)

// No kernel touches a byte beyond a packet, not even to read it.
func TestHMACStaysWithinThePacket(t *testing.T) {
	r := newRand(16)
	for _, h := range allHashes {
		for _, n := range []int{0, 1, 15, 16, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 1000, 1024, 1448} {
			last, first := atTheEdge(t, n)
			for _, data := range [][]byte{last, first} {
				m := newMessage(t, r, h, n, 20)
				copy(data, m.job.Data)
				m.job.Data = data
				for _, others := range []int{0, 1, 6, 20} {
					messages := []*message{m}
					for i := range others {
						messages = append(messages, newMessage(t, r, h, n/2*(i%3), 12))
					}
					checkSums(t, messages)
				}
			}
		}
	}
}

// Neither does the one for packets of one SA.
func TestHMACOfOneSAStaysWithinThePacket(t *testing.T) {
	r := newRand(19)
	k := newMACKey(t, r, SHA1)
	for blocks := range 30 {
		n := HeadSize + BlockSize*(1+blocks)
		last, first := atTheEdge(t, n)
		for _, data := range [][]byte{last, first} {
			var messages []*message
			for range 16 {
				messages = append(messages, k.message(r, n, 12))
			}
			m := messages[9]
			copy(data, m.job.Data)
			m.job.Data = data
			checkSums(t, messages)
		}
	}
}

// Packets as they are on the wire when every one is full, and when those of
// the other direction are acknowledged between them.
func BenchmarkSum(b *testing.B) {
	lengths := map[string][]int{"full": {1448}, "mixed": {1448, 104, 1448, 72, 1448, 588, 1448, 88}, "random": nil}
	eachTier(func(tier Tier) {
		for _, h := range allHashes {
			for _, kind := range []string{"full", "mixed", "random"} {
				for _, n := range []int{1, 2, 4, 8, 16, 64} {
					if kind != "full" && n < 16 {
						continue
					}
					b.Run(fmt.Sprintf("%v/%v/%s/%d", tier, h, kind, n), func(b *testing.B) {
						r, e := newRand(1), New(tier)
						var jobs []MAC
						total := 0
						for i := range n {
							length := 72 + r.IntN(1400)
							if kind != "random" {
								length = lengths[kind][i%len(lengths[kind])]
							}
							jobs = append(jobs, newMessage(b, r, h, length, 12).job)
							total += length
						}
						measure(b, total, func() { e.Sum(jobs) })
					})
				}
			}
		}
	})
}
