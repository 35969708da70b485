package conf

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Container platforms describe the services around a container in variables that begin
// with a service's name. Those of a service named "adit", or "adit-server", begin like
// ours. Each has a form that no value of ours has.
var (
	// Kubernetes' own: ADIT_SERVICE_HOST, ADIT_SERVICE_PORT, ADIT_SERVICE_PORT_IKE.
	serviceHost = regexp.MustCompile(`_SERVICE_HOST$`)
	servicePort = regexp.MustCompile(`_SERVICE_PORT(_[A-Z0-9_]+)?$`)
	// Docker's links, which Kubernetes makes, too: ADIT_PORT, ADIT_PORT_500_UDP,
	// ADIT_PORT_500_UDP_ADDR; of ranges of ports ADIT_PORT_500_UDP_START.
	linkURL   = regexp.MustCompile(`_PORT(_\d+_(TCP|UDP|SCTP)(_(START|END))?)?$`)
	linkAddr  = regexp.MustCompile(`_PORT_\d+_(TCP|UDP|SCTP)_ADDR$`)
	linkPort  = regexp.MustCompile(`_PORT_\d+_(TCP|UDP|SCTP)_PORT(_START|_END)?$`)
	linkProto = regexp.MustCompile(`_PORT_\d+_(TCP|UDP|SCTP)_PROTO$`)
	portURL   = regexp.MustCompile(`^(tcp|udp|sctp)://.+:\d+$`)
	// Docker's links alone: ADIT_NAME=/web/adit, and that container's variables.
	linkEnv = regexp.MustCompile(`^(.+?)_ENV_`)
)

// madeByPlatform reports whether a variable that is not a key of ours was made of a
// service's name. A misspelt key is not: its value has another form.
func madeByPlatform(name string, env map[string]string) bool {
	value := env[name]
	number := func() bool { _, err := strconv.ParseUint(value, 10, 16); return err == nil }
	address := func() bool { _, err := netip.ParseAddr(value); return err == nil }
	switch {
	case serviceHost.MatchString(name), linkAddr.MatchString(name):
		return address()
	case linkPort.MatchString(name), servicePort.MatchString(name):
		return number()
	case linkProto.MatchString(name):
		return value == "tcp" || value == "udp" || value == "sctp"
	case linkURL.MatchString(name):
		return portURL.MatchString(value)
	case strings.HasSuffix(name, "_NAME"):
		return linkName(value)
	}
	for _, m := range linkEnv.FindAllStringSubmatch(name, -1) {
		if linkName(env[m[1]+"_NAME"]) {
			return true
		}
	}
	return false
}

// linkName reports whether a value is how Docker names a link: "/web/adit".
func linkName(value string) bool {
	return strings.HasPrefix(value, "/") && strings.Count(value, "/") == 2
}
