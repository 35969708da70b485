package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

const (
	transferSeconds = 4
	sinkPort        = ":5001"
)

// runThroughput measures TCP through one session. The server has core 0 for
// itself, both ends of TCP and the client share core 1.
func (b *bench) runThroughput(ctx context.Context) error {
	for _, suite := range []struct{ flag, name string }{{"cbc-sha1", "AES-256-CBC + SHA-1"}, {"gcm", "AES-256-GCM"}} {
		if err := b.throughput(ctx, suite.flag, suite.name); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) throughput(ctx context.Context, esp, name string) error {
	server, err := b.rig.server(ctx, pin(0)...)
	if err != nil {
		return err
	}
	defer server.kill()
	sink, err := b.rig.load(ctx, nsServer, pin(1), "sink", "-target", insideAddr+sinkPort)
	if err != nil {
		return err
	}
	defer sink.kill()
	one, err := b.rig.one(ctx, pin(1), "bulk", insideAddr+sinkPort, esp)
	if err != nil {
		return err
	}
	defer one.kill()
	for _, way := range []string{"down", "up"} {
		var costs, ratios, rates, busy, units []float64
		for i := range b.repeat + 1 {
			t, err := b.transfer(ctx, server, one, way)
			if err != nil {
				return err
			}
			unit, err := openssl(ctx)
			if err != nil {
				return err
			}
			if i == 0 {
				continue // for TCP and the caches to warm up
			}
			costs, ratios = append(costs, t.cost), append(ratios, t.cost/unit)
			rates, busy, units = append(rates, t.gbits), append(busy, 100*t.busy), append(units, unit)
		}
		b.add(fmt.Sprintf("TCP %s, %s", way, name), spread(costs, "%.2f")+" CPU s/GB", "",
			fmt.Sprintf("%s U (U = openssl aes-256-cbc-hmac-sha1: %s s/GB); %.1f Gbit/s a core; on the clock %s Gbit/s with the server's core %.0f %% busy",
				spread(ratios, "%.1f"), spread(units, "%.2f"), 8/median(costs), spread(rates, "%.2f"), median(busy)))
	}
	return b.profiles(ctx, "throughput-"+esp)
}

type transfer struct {
	cost  float64 // server CPU seconds for 10^9 bytes of IP inside
	gbits float64 // a second on the clock
	busy  float64 // of the server's core
}

func (b *bench) transfer(ctx context.Context, server, one *process, way string) (t transfer, err error) {
	cpu0, err := server.cpu()
	if err != nil {
		return t, err
	}
	in0, out0, err := octets(ctx, server)
	if err != nil {
		return t, err
	}
	profile := b.profileCPU(ctx, "throughput-"+way, transferSeconds*1e9)
	var carried struct {
		Bytes   uint64
		Seconds float64
	}
	if err := one.order(&carried, "%s %d", way, transferSeconds); err != nil {
		return t, err
	}
	<-profile
	cpu1, err := server.cpu()
	if err != nil {
		return t, err
	}
	in1, out1, err := octets(ctx, server)
	n := out1 - out0
	if way == "up" {
		n = in1 - in0
	}
	if n == 0 {
		return t, errors.New("nothing was carried")
	}
	return transfer{(cpu1 - cpu0) / n * 1e9, 8 * n / carried.Seconds / 1e9, (cpu1 - cpu0) / carried.Seconds}, err
}

// octets are the bytes of IP that the server's sessions carried.
func octets(ctx context.Context, server *process) (in, out float64, err error) {
	status, err := server.control.Status(ctx)
	for _, s := range status.Sessions {
		in += float64(s.InOctets)
		out += float64(s.OutOctets)
	}
	return in, out, err
}

func pin(core int) []string { return []string{"taskset", "-c", strconv.Itoa(core)} }

// openssl is the unit U: CPU seconds for 10^9 bytes of AES-256-CBC with
// HMAC-SHA1 in OpenSSL, on the server's core.
func openssl(ctx context.Context) (float64, error) {
	args := append(pin(0), "openssl", "speed", "-mr", "-seconds", "1", "-bytes", "1424", "-evp", "aes-256-cbc-hmac-sha1")
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); f[0] == "+F" {
			rate, err := strconv.ParseFloat(f[len(f)-1], 64)
			return 1e9 / rate, err
		}
	}
	return 0, errors.New("openssl speed printed no figure")
}
