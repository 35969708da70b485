//go:build !amd64 || purego

package lanes

// highest is the highest tier that this CPU has.
func highest() Tier { return Generic }
