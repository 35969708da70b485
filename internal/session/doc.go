// Package session is one PPP session and its user as a machine: the link, the
// authentication of the user, the grant, the addresses of both families, what the client
// is told, timeouts, and accounting.
//
// # Use
//
// New makes a session and Start opens its link. The driver passes PPP frames to
// HandleFrame, IP packets for the server to HandleIP and the backend's answers to
// Verdict, calls HandleTimer at Deadline, and drains NextEvent after every call. The
// events say what to send, whom to ask, which networks lead to the session, what to
// account for, and why the session ended. Ask carries a ticket, which Verdict takes: the
// driver decides who asks the backend, on which goroutine, and for how long.
//
// The driver must act on events in their order: the counters of an accounting stop are
// read when its event is taken, after the routes have been removed.
//
// Append freezes a session whose events are drained, including its link and what it
// holds, and Resume makes a session that continues from the frozen state.
//
// End ends a session from outside. Release, called once the session's events are acted
// on, gives back what it holds. Both are also called after Ended.
//
// # What it is not
//
// The package knows no IPsec, no L2TP and no data path: the driver says where the client
// is, routes packets, and decides what of the same user makes room for a session. It
// reads no configuration: a Policy says what is allowed. It logs nothing.
//
// # Concurrency and ownership
//
// A Session belongs to one goroutine. It owns its ppp.Link, and what it holds of the
// pools and the Registry. All sessions share the pools and the Registry, which are safe
// for concurrent use. Slices passed in are borrowed for the call, except those of an
// auth.Response, which are kept; slices in events belong to the receiver.
package session
