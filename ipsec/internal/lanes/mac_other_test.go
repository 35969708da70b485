//go:build !amd64 || purego

package lanes

import "sync"

// engines is an Engine of every kind.
var engines = sync.OnceValue(func() (all []namedEngine) {
	eachTier(func(tier Tier) { all = append(all, namedEngine{New(tier), tier.String()}) })
	return all
})
