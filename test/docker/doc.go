// Package docker tests the container image and the compose file that are
// shipped, with Debian's Docker Engine and an unmodified client behind a NAT
// (build tag real, as root).
//
// The engine runs in the server's network namespace of test/guest, and in mount
// and PID namespaces of its own, so that nothing of it is left when the test
// ends, however it ends. There is no registry: the base images that the shipped
// files name are made of Debian trees.
package docker
