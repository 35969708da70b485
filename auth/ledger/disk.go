package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"

	"github.com/adit-vpn/adit/auth"
	"github.com/adit-vpn/adit/internal/durable"
)

// The buckets of the file: the last record of each live session by its id, and the records
// that wait by their sequence number.
const (
	liveBucket = "live"
	outBucket  = "out"
)

// lockTime is how long another process may hold the file before that is an error.
const lockTime = time.Second

func seqKey(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

// disk is the file while it is written.
type disk struct {
	db     *bbolt.DB
	broken bool // a fault has left it in the middle of something
}

// create replaces the file by one with everything in it, in one step.
func create(path string, all []change) (*disk, error) {
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	d, err := openDisk(tmp)
	if err != nil {
		return nil, errors.Join(err, removed(tmp))
	}
	if err = d.write(all); err == nil {
		err = durable.Rename(tmp, path)
	}
	if err != nil {
		d.close()
		return nil, errors.Join(err, removed(tmp))
	}
	return d, nil
}

// removed removes a file that may not be there.
func removed(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func openDisk(path string) (d *disk, err error) {
	defer faults(&err)()
	// Free pages are in the file, though nobody opens it for writing twice: to undo a transaction
	// without them, bbolt reads all of the file, and on a goroutine of its own, whose panic at a
	// damaged page nobody can recover.
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTime, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	return &disk{db: db}, nil
}

// write makes changes in one transaction, which is on disk when it returns.
func (d *disk) write(changes []change) (err error) {
	defer func() { d.broken = errors.Is(err, errFault) }()
	defer faults(&err)()
	return d.db.Update(func(tx *bbolt.Tx) error {
		live, err := tx.CreateBucketIfNotExists([]byte(liveBucket))
		if err != nil {
			return err
		}
		out, err := tx.CreateBucketIfNotExists([]byte(outBucket))
		if err != nil {
			return err
		}
		out.FillPercent = 0.9 // sequence numbers grow
		for _, c := range changes {
			b := out
			if c.live {
				b = live
			}
			if c.data == nil {
				err = b.Delete([]byte(c.key))
			} else {
				err = b.Put([]byte(c.key), c.data)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// close closes the file. One that a fault has broken is abandoned: its transaction may still hold
// the locks that bbolt takes to close it, for ever. The mapping of the file then stays, and with it
// the file's place on the disk, until the process ends; the descriptor goes with the collector.
func (d *disk) close() {
	if d.broken {
		return
	}
	var err error
	defer faults(&err)()
	_ = d.db.Close()
}

// errFault says that what is mapped of a file cannot be read, or is not what was written.
var errFault = errors.New("the file cannot be used")

// faults turns what happens when the disk under a mapped file cannot be read into an error.
func faults(err *error) func() {
	was := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(was)
		if v := recover(); v != nil {
			*err = fmt.Errorf("%w: %v", errFault, v)
		}
	}
}

// held is what a file had in it.
type held struct {
	live []auth.Record
	out  []waiting
	bad  []error
}

type waiting struct {
	seq uint64
	auth.Record
	data []byte
}

// readFile reads what can be read of a file. The error says that nothing can.
func readFile(path string) (h held, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return held{}, nil
	}
	if err != nil {
		return held{}, err
	}
	if !info.Mode().IsRegular() {
		h.bad = []error{errors.New("it is not a file")}
		return h, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return held{}, err
	}
	defer f.Close()
	if info.Size() == 0 { // a crash before the first byte
		return held{}, nil
	}
	broken := readBolt(f, info.Size(), func(bucket string, key, value []byte) {
		r, err := decode(value)
		switch {
		case err != nil:
		case bucket == liveBucket && string(key) == r.Call.SessionID:
			h.live = append(h.live, r)
			return
		case bucket == outBucket && len(key) == 8:
			h.out = append(h.out, waiting{binary.BigEndian.Uint64(key), r, append([]byte(nil), value...)})
			return
		default:
			err = errors.New("a record is where it does not belong")
		}
		if len(h.bad) < maxBroken {
			h.bad = append(h.bad, err)
		}
	})
	h.bad = append(broken, h.bad...)
	return h, nil
}
