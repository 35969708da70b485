//go:build !amd64 || purego

package lanes

// eachEngine calls f with an Engine of every kind.
func eachEngine(f func(name string, e *Engine)) {
	eachTier(func(tier Tier) { f(tier.String(), New(tier)) })
}
