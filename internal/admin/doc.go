// Package admin is how an administrator talks to a running server: a control
// socket that speaks HTTP and JSON, its client, and the address that serves
// metrics and health.
//
// It declares what it needs of the server as interfaces and knows none of the
// packages behind them.
//
// # Concurrency
//
// A Server and a Client are safe for concurrent use.
package admin
