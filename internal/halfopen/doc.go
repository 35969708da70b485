// Package halfopen answers the first messages of IKE, and keeps what is needed of them
// until a third message makes a connection. It corresponds to SYN queues and SYN cookies
// in TCP (RFC 4987).
//
// # Use
//
// New makes a Greeter, and Run is its goroutine. The receiver of datagrams passes to
// Receive the messages that belong to no connection. The answer to a known first message
// is returned at once, and nothing of the message is kept. Every other message waits in a
// queue of fixed size for the goroutine, which keeps an embryo of each first message that
// it answers. A third message with a cookie of ours, from the source of the first
// message, is passed to Connections.Begin together with its embryo. A first message that
// led to a user is passed to Learn.
//
// # Borders
//
// The package ends where a connection begins, and knows nothing of connections:
// Connections says whether cookies belong to a connection and whether that still
// negotiates, and takes the handshakes from which connections are made. Records are
// bounded by number, bytes and origin (package crowd), answers of Aggressive Mode by rate
// and source, and the computations for them wait at the Gate.
//
// # What it is not
//
// It has no socket: Config.Send sends the answers. It logs and counts nothing: an
// Observer is told what is dropped and refused. It reads no configuration: Config.Policy
// says what is in force.
//
// # Concurrency and ownership
//
// Receive, Learn and Live are safe for concurrent use, and Receive never blocks: the data
// that it reads is replaced as a whole, and only Learn locks. The embryos and the records
// of Aggressive Mode's computations belong to Run's goroutine. Answers of Aggressive Mode
// are computed on goroutines of their own, for which Run waits. No lock is held while
// Connections, the Observer or Send is called.
package halfopen
