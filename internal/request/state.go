package request

// State is where a request has come to.
type State string

// A request is open until it is decided, taken back, or too old.
const (
	Open      State = "open"
	Granted   State = "granted" // what became of it later is the permit's life
	Denied    State = "denied"
	Withdrawn State = "withdrawn"
	Lapsed    State = "lapsed" // nobody decided in time
	// Unconfirmed is broken glass that waits for those who must confirm it: the access
	// is there already.
	Unconfirmed State = "unconfirmed"
	// Expired is broken glass that nobody confirmed in time.
	Expired State = "expired"
)

// States lists them all.
func States() []State {
	return []State{Open, Granted, Denied, Withdrawn, Lapsed, Unconfirmed, Expired}
}

// Waits reports whether people still have something to decide.
func (s State) Waits() bool { return s == Open || s == Unconfirmed }
