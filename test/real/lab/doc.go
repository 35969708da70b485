//go:build real

// Package lab runs the server against peers that share no code with it: Linux
// clients in kernels of their own (test/guest), FreeRADIUS, tshark.
//
// Open makes everything that tests share: the guests' image, the server's
// binary and the network namespaces. A test then asks for a Server and Guests;
// what it starts ends with it. Every process is ended by its own id, and dies
// with the test's process, however that ends. One Lab runs at a time on a host.
//
// It is for root, and for one goroutine at a time, but for what says otherwise.
package lab
