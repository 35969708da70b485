// Package links has the links of a server: it joins the machine of each, in package link,
// with the calls that are placed and answered for it, with its device, and with the host's
// routes.
//
// A call is the link's whichever end has dialled it. One that we place is made by package
// dial. One that the other end places is an ordinary session, whose user is the link's:
// Callers authenticates it and says that it has the link's device. Either way the server
// asks Ports for the device when the session's network is up, and that is where the link
// hears of it, and where a call that may not be the link is refused.
//
// # Concurrency
//
// A Manager is safe for concurrent use. Each link has a lock of its own, which is held
// while the host is changed, and a goroutine, which waits for its deadline.
package links
