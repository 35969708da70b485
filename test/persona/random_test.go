package persona

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/ike"
	"github.com/adit-vpn/adit/internal/secret"
	"github.com/adit-vpn/adit/internal/vpn"
	"github.com/adit-vpn/adit/test/sim"
)

// soak is how long the random steps run if there is time.
const soak = 30 * time.Minute

// strange is a server, and the accounts of users that have keys of their own besides the
// usual one.
func strange(t *testing.T) (w *sim.World, list []Account) {
	var users []auth.User
	for i := range 4 {
		a := account
		a.User, a.PSK = fmt.Sprintf("user%d", i), fmt.Sprintf("key %d of good length", i)
		list = append(list, a)
		users = append(users, auth.User{Name: a.User, Password: secret.String(a.Password)})
	}
	users = append(users, auth.User{Name: account.User, Password: secret.String(account.Password)})
	w = sim.New(t, sim.Options{Backend: auth.NewLocal(users), Policy: func(p *vpn.Policy) {
		for i, a := range list {
			p.IKE.PSKs = append(p.IKE.PSKs, ike.PSK{Name: fmt.Sprint(i), Key: secret.String(a.PSK)})
		}
	}})
	return w, list
}

// reaches fails the test unless a client's packet comes out of the server.
func reaches(t *testing.T, w *sim.World, c *Client, n uint32) {
	t.Helper()
	own, _ := c.Address()
	for w.Device.Poll() != nil { // packets of other clients
	}
	c.Send(numbered(own, internet, n))
	time.Sleep(time.Second)
	for b := w.Device.Poll(); b != nil; b = w.Device.Poll() {
		if number(b) == n {
			return
		}
	}
	t.Errorf("packet %d of the honest client does not come out of the server: %v", n, c.Err())
}

// A peer that has a key and a user sends anything at all, encrypted correctly. The server
// does not panic, keeps nothing, and serves others meanwhile.
func TestRandomStepsOfAuthenticatedClientsHurtNobody(t *testing.T) {
	began, rounds := time.Now(), 4
	var held uint64
	long := os.Getenv("ADIT_TEST_SOAK") != ""
	for round := 0; round < rounds || long && time.Since(began) < soak; round++ {
		seed := uint64(round + 1)
		if long {
			seed = rand.Uint64()
		}
		if !t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { bubble(t, func(t *testing.T) { randomRound(t, seed) }) }) {
			return
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		if round == 1 {
			held = m.HeapAlloc // the first client allocates what is kept
		}
		if round > 1 && m.HeapAlloc > held+64<<20 {
			t.Fatalf("after round %d the heap holds %d bytes, and %d after the second", round, m.HeapAlloc, held)
		}
	}
}

func randomRound(t *testing.T, seed uint64) {
	w, accounts := strange(t)
	nat := w.Net.NAT("198.51.100.7")
	honest := online(t, Windows10(WindowsOptions{Length: true}), account, nat.Host("192.168.1.10"))
	var work sync.WaitGroup
	for i, a := range accounts {
		host := w.Net.NAT(fmt.Sprintf("198.51.100.%d", 20+i)).Host("192.168.1.10")
		r := rand.New(rand.NewPCG(seed, uint64(i+1)))
		work.Go(func() {
			for range 10 { // most scripts end the connection, sooner or later
				c := New(everyone[r.IntN(len(everyone))](), a, host, r.Uint64(), func(string) {}) // any answer is right
				if err := c.Dial(); err != nil {
					t.Errorf("%s does not connect: %v\n%s", c.Name, err, c.Log())
				}
				c.play(randomScript(r))
				c.Vanish()
			}
		})
	}
	for n := range uint32(40) {
		reaches(t, w, honest, n+1)
	}
	work.Wait()
	reaches(t, w, honest, 1000)
	if err := honest.Rekey(); err != nil {
		t.Errorf("the honest client's renewal: %v", err)
	}
	reaches(t, w, honest, 1001)
	if err := honest.Close(); err != nil {
		t.Errorf("it does not leave as it likes: %v", err)
	}
	time.Sleep(15 * time.Minute)
	w.WantNothingLeft(t)
}

// randomScript returns a script of thirty steps.
func randomScript(r *rand.Rand) (s script) {
	for range 30 {
		b := make([]byte, r.IntN(64))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		s = append(s, step(byte(r.IntN(len(steps))), b)...)
	}
	return s
}

// FuzzConnection is a whole connection of a client that does not behave like any client:
// it connects as one of the personas, and then follows a script.
func FuzzConnection(f *testing.F) {
	said := messages(f)
	for i, p := range everyone {
		var s script
		for _, b := range said[p().Name] {
			s = append(s, step(8, b)...)
		}
		f.Add(byte(i), []byte(append(s, step(0, nil)...)))
	}
	f.Fuzz(func(t *testing.T, i byte, b []byte) {
		if len(b) > 8<<10 {
			t.Skip("no more is to be found in longer ones")
		}
		bubble(t, func(t *testing.T) {
			w := sim.New(t, sim.Options{})
			c := New(everyone[int(i)%len(everyone)](), account, w.Net.NAT("198.51.100.7").Host("192.168.1.10"), 1, func(string) {})
			if err := c.Dial(); err != nil {
				t.Error(err)
			}
			c.play(b)
			c.Vanish()
			time.Sleep(15 * time.Minute)
			w.WantNothingLeft(t)
		})
	})
}

// messages are what every client sends inside ESP, by the client's name.
func messages(f *testing.F) map[string][][]byte {
	file, err := os.Open(seedFile)
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	all := map[string][][]byte{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p := strings.Split(lines.Text(), "\t")
		if len(p) != 3 || p[0] != string(LayerL2TP) {
			continue
		}
		b, err := hex.DecodeString(p[2])
		if err != nil {
			f.Fatal(err)
		}
		all[p[1]] = append(all[p[1]], b)
	}
	return all
}
