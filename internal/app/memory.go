package app

import (
	"math"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is how much of the memory that the control group has the Go runtime
// may use before it collects more often: the rest is the kernel's, for sockets.
const memoryShare = 0.9

// limitMemory keeps the process below the limit of its control group, of a container
// or a unit, unless GOMEMLIMIT says otherwise. Where there is none, nothing changes.
func (a *instance) limitMemory() {
	limit, err := memlimit.Set(memlimit.WithProvider(memlimit.FromCgroup), memlimit.WithRatio(memoryShare))
	switch {
	case err != nil:
		a.log.WithError(err).Debug("the memory limit of the control group is not known")
	case limit < math.MaxInt64:
		a.log.WithField("bytes", limit).Debug("memory is collected early, to stay below the control group's limit")
	}
}
