// Package ledger keeps accounting records until a server has taken them: on disk, so that
// neither a dead server, nor a crash, nor a reboot loses one.
//
// # What it is
//
// A Ledger has two lists in one file (bbolt): of sessions that are live, the last record
// each, and of records that wait to be sent. A Stop moves its session from the one to the
// other in one transaction. What Account takes is on disk some 50 ms later, and only then
// given to the sender: what a server has heard of is never lost here. A Ledger that finds
// live sessions when it opens ends them: nobody else can, after a crash.
//
// The order of records is kept within a session, and only there. A record that no server
// takes is put aside and holds up nobody else.
//
// Where the disk refuses, records wait in memory, Problem is told once, and the file is
// tried again each minute. The file is written anew at each start: so damage does not
// spread, and it does not grow for ever.
//
// # What it is not
//
// It knows no RADIUS and sends nothing: package auth/radius takes records by Next and says
// what became of them.
//
// # Concurrency and ownership
//
// A Ledger is safe for concurrent use, and Account never waits for the disk. One goroutine
// writes. book is the pure part: no lock, clock or file.
package ledger
