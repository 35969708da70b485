package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/internal/limit"
)

const (
	// usageFile is the file in the state directory that says what users with a quota have
	// carried.
	usageFile = "usage"
	usageHead = "# What users with a quota have carried: the day, octets on it and in its month, the user. Written by the server."

	usageEvery = 10 * time.Second // what a crash forgets at most
	usageUsers = 1 << 16          // users that have carried something this month, at most

	usageDay, usageMonth = "2006-01-02", "2006-01"
)

// usages counts what users with a quota carry in a day and in a month, by the clock of the
// host, and keeps it in a file.
type usages struct {
	stateFile

	mu    sync.Mutex
	users map[string]*used
}

// used is what a user has carried, in the day and the month in which that was last.
type used struct {
	on         string // the day
	day, month limit.Octets
}

// keepUsages reads the file, and writes it until cleanup.
func (a *instance) keepUsages(ctx context.Context, dir string, cleanup *closers) *usages {
	all := newUsages(filepath.Join(dir, usageFile), a.log)
	all.restore()
	stop := a.background(context.WithoutCancel(ctx), func(ctx context.Context) { all.keep(ctx, all.lines) }) // connections outlive ctx
	cleanup.add(func() error { stop(); return nil })
	return all
}

func newUsages(path string, log *logrus.Logger) *usages {
	return &usages{users: map[string]*used{}, stateFile: stateFile{
		path: path, head: usageHead, pause: usageEvery, again: usageEvery,
		unread:    "what users have used of their quotas cannot be read: they begin anew",
		unwritten: "what users have used of their quotas cannot be written: a restart forgets it",
		log:       log, dirty: make(chan struct{}, 1),
	}}
}

// Spend implements session.Usages.
func (all *usages) Spend(now time.Time, user string, octets uint64) (day, month limit.Octets) {
	today := now.Local().Format(usageDay)
	all.mu.Lock()
	defer all.mu.Unlock()
	u := all.users[user]
	if u == nil {
		if octets == 0 {
			return 0, 0
		}
		if len(all.users) >= usageUsers {
			all.forget(today)
		}
		u = &used{on: today}
		all.users[user] = u
	}
	if u.on != today {
		if !strings.HasPrefix(today, u.on[:len(usageMonth)]) {
			u.month = 0
		}
		u.on, u.day = today, 0
	}
	if octets > 0 {
		u.day, u.month = u.day+limit.Octets(octets), u.month+limit.Octets(octets)
		all.change()
	}
	return u.day, u.month
}

// forget removes the users of other months; any one, if there are none.
func (all *usages) forget(today string) {
	for user, u := range all.users {
		if !strings.HasPrefix(today, u.on[:len(usageMonth)]) {
			delete(all.users, user)
		}
	}
	for user := range all.users {
		if len(all.users) < usageUsers {
			return
		}
		delete(all.users, user)
	}
}

// restore takes what the file has.
func (all *usages) restore() {
	users := map[string]*used{}
	if all.read(func(line string) error {
		words := strings.SplitN(line, " ", 4)
		if len(words) != 4 {
			return errors.New("has not a day, two numbers and a user's name")
		}
		_, err1 := time.Parse(usageDay, words[0])
		day, err2 := strconv.ParseUint(words[1], 10, 64)
		month, err3 := strconv.ParseUint(words[2], 10, 64)
		user, err4 := strconv.Unquote(words[3])
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return fmt.Errorf("has something else than a day, two numbers and a user's name: %w", err)
		}
		users[user] = &used{words[0], limit.Octets(day), limit.Octets(month)}
		return nil
	}) {
		all.users = users
	}
}

// lines writes what the users have carried.
func (all *usages) lines(b *bytes.Buffer) error {
	all.mu.Lock()
	defer all.mu.Unlock()
	for user, u := range all.users {
		if len(user) <= stateName {
			fmt.Fprintf(b, "%s %d %d %q\n", u.on, uint64(u.day), uint64(u.month), user)
		}
	}
	return nil
}
