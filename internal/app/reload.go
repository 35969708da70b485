package app

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/internal/admin"
)

// Reload implements admin.Controlled: it reads the configuration again. A wrong one
// changes nothing and is logged: the person who asked may not be the one who reads the
// log.
func (a *instance) Reload() (admin.Reloaded, error) {
	a.reload.Lock()
	defer a.reload.Unlock()
	notify(a.log, stateReloading())
	defer notify(a.log, stateReady)
	report, err := a.readAgain()
	if err != nil {
		a.log.WithField("error", err.Error()).Error("the new configuration is wrong: the old one stays in force")
	}
	return report, err
}

func (a *instance) readAgain() (admin.Reloaded, error) {
	release := a.holdUsers()
	defer release()
	read, err := a.opts.Load()
	if err != nil {
		return admin.Reloaded{}, err
	}
	waits := compare(a.opts.Config, read).Restart // of an earlier reload, too
	c, err := read.InForce(a.opts.Config)
	if err != nil {
		return admin.Reloaded{}, fmt.Errorf("restart the server for the new configuration: it is valid, but not as long as %s is as it was:\n%w", strings.Join(waits, ", "), err)
	}
	certs, err := loadCertificates(c)
	if err != nil {
		return admin.Reloaded{}, err
	}
	servers, err := radiusConfig(c)
	if err != nil {
		return admin.Reloaded{}, err
	}
	report := compare(a.config.Load(), c)
	report.Restart = waits
	for _, key := range certs.renewed(*a.certs.Load()) {
		switch {
		case slices.Contains(report.New, key) || slices.Contains(report.Live, key): // said already
		case key == "ipsec.ca" || key == "ipsec.crl":
			report.Live = append(report.Live, key+" (the file)")
		default:
			report.New = append(report.New, key+" (the file)")
		}
	}
	was := a.ownWarnings()
	a.certs.Store(&certs)
	a.config.Store(c)
	a.log.SetLevel(level(c.Log.Level))
	if a.local != nil {
		a.local.Replace(localUsers(c))
		release()
		a.promise(c)
	}
	if a.radius != nil {
		a.radius.Replace(servers)
	}
	if slices.Contains(report.Live, "network.reserve") {
		a.reserve(c)
	}
	a.server.SetPolicy(a.policy(context.Background(), c))
	a.server.Recheck()
	a.changeGuard(c)
	report.Failed = a.changeHeld(c)
	a.log.WithFields(logrus.Fields{"applied": report.Live, "for_new_connections": report.New, "wait_for_restart": report.Restart}).Info("reloaded")
	for _, w := range a.ownWarnings() {
		if !slices.Contains(was, w) {
			report.Warnings = append(report.Warnings, w)
			a.log.Warn(w)
		}
	}
	return report, nil
}

// holdUsers has no user change the password until release is called, once or more often.
func (a *instance) holdUsers() (release func()) {
	if a.local == nil {
		return func() {}
	}
	return sync.OnceFunc(a.local.Hold())
}

// changeHeld takes over what changes the host, and says what of it failed.
func (a *instance) changeHeld(c *conf.Config) (failed []string) {
	if err := a.changeCoA(context.Background(), c); err != nil {
		a.log.WithField("error", errorField(err)).Error("RADIUS servers cannot end or change sessions")
		failed = append(failed, err.Error())
	}
	if err := a.links.Change(a.linksOf(c)); err != nil {
		a.log.WithField("error", errorField(err)).Error("the host could not be changed for a link")
		failed = append(failed, err.Error())
	}
	return failed
}

// compare sorts the keys that differ by when they apply.
func compare(old, now *conf.Config) admin.Reloaded {
	var r admin.Reloaded
	differences(reflect.ValueOf(*old), reflect.ValueOf(*now), "", func(key, when string) {
		switch when {
		case "live":
			r.Live = append(r.Live, key)
		case "new":
			r.New = append(r.New, key)
		default:
			r.Restart = append(r.Restart, key)
		}
	})
	return r
}

// differences calls f for every key whose value differs, with its reload tag.
func differences(a, b reflect.Value, path string, f func(key, when string)) {
	for i := range a.NumField() {
		tag := a.Type().Field(i).Tag
		name := tag.Get("toml")
		if name == "-" {
			continue
		}
		key := name
		if path != "" {
			key = path + "." + name
		}
		when := tag.Get("reload")
		if when == "" {
			differences(a.Field(i), b.Field(i), key, f)
			continue
		}
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			f(key, when)
		}
	}
}

// watchSignals reloads on SIGHUP until the returned function is called.
func (a *instance) watchSignals(ctx context.Context) (stop func()) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	return a.background(ctx, func(ctx context.Context) {
		defer signal.Stop(hup)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				_, _ = a.Reload() // it has logged what is wrong
			}
		}
	})
}

// publicInterval is how often a name in server.public is resolved again.
const publicInterval = 5 * time.Minute

// refreshPublic follows server.public when it is a name whose address changes.
func (a *instance) refreshPublic(ctx context.Context) (stop func()) {
	return a.background(ctx, func(ctx context.Context) {
		tick := time.NewTicker(publicInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				a.reload.Lock()
				a.server.SetPolicy(a.policy(ctx, a.config.Load()))
				a.reload.Unlock()
			}
		}
	})
}

// background runs f until stop is called or ctx ends; stop waits for it.
func (a *instance) background(ctx context.Context, f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}
