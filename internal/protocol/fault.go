package protocol

// Fault is something that the protocol could have got wrong. Histories that find none of them
// would find nothing.
type Fault int

const (
	nothing              Fault = iota
	LeaseFromAnswer            // a lease counts from the answer to the poll
	FeedRenews                 // the feed renews it, too
	MonotonicOnly              // it is measured by the monotonic clock alone
	WallOnly                   // it is measured by the wall clock alone
	AckBeforeApply             // a node says that it knows, and then applies
	RegistryBeforeCommit       // whom to wait for is read before the commit
	NobodyUnheard              // whom to wait for is who was heard of before
	DatabaseClockOnly          // who is live is told by the database's clock alone
	NoBarrier                  // the answer waits for nobody
	ShortBarrier               // it waits for half a lease
	RetryDoesNotWait           // an answer that has changed nothing waits for nobody
	LastNumber                 // news are read from the greatest number on, not from the snapshot on
	PrimeBeforeJoin            // a node reads, and then says that it is there
	BeatAfterRead              // so does each poll
	LeaveBelieving             // a node that has left goes on to answer from memory
	RenewThoughFailed          // a poll that could not read all counts as one that could
	NoLapse                    // a node that could not read its own change goes on to believe itself
	SharedReading              // whoever asks for what is wide shares a reading that has begun
	KeptThoughDropped          // what was read before news came is kept after them
	SweptLater                 // the end of a decision is not looked at
	EpochOfBefore              // who comes back has the epoch of before
	NumbersAgain               // a place in the news counts after a crash, which gives numbers out again
	faults
)

// Faults are all of them.
func Faults() (all []Fault) {
	for f := nothing + 1; f < faults; f++ {
		all = append(all, f)
	}
	return all
}

var faultNames = [...]string{"nothing", "lease from the answer", "the feed renews", "monotonic only", "wall only", "ack before apply", "registry before commit",
	"nobody unheard", "database's clock only", "no barrier", "short barrier", "a retry does not wait", "last number", "prime before join", "beat after read",
	"leave believing", "renew though failed", "no lapse", "shared reading", "kept though dropped", "swept later", "epoch of before", "numbers again"}

func (f Fault) String() string { return faultNames[f] }
