package scim

// unit is what is carried out as a whole: one operation, or several that refer to
// each other in a circle.
type unit struct {
	operations []int
	circle     bool // also one that refers to itself
}

// plan orders operations so that each comes behind those it refers to, and leaves
// them in the order of the request where that says nothing. What refers to each other
// is one unit: Tarjan's strongly connected components, which come out in this order.
func plan(refs [][]int) []unit {
	p := planner{refs: refs, met: make([]int, len(refs)), low: make([]int, len(refs)), open: make([]bool, len(refs))}
	for i := range refs {
		if p.met[i] == 0 {
			p.visit(i)
		}
	}
	return p.units
}

type planner struct {
	refs  [][]int
	met   []int // when an operation was met, from 1; 0: not yet
	low   []int // the earliest open operation that it leads to
	open  []bool
	stack []int // the open operations
	count int
	units []unit
}

func (p *planner) visit(i int) {
	p.count++
	p.met[i], p.low[i], p.open[i] = p.count, p.count, true
	p.stack = append(p.stack, i)
	self := false
	for _, to := range p.refs[i] {
		self = self || to == i
		switch {
		case p.met[to] == 0:
			p.visit(to)
			p.low[i] = min(p.low[i], p.low[to])
		case p.open[to]:
			p.low[i] = min(p.low[i], p.met[to])
		}
	}
	if p.low[i] == p.met[i] {
		p.close(i, self)
	}
}

// close ends a component: its operations are those met since its first.
func (p *planner) close(first int, self bool) {
	at := len(p.stack) - 1
	for p.stack[at] != first {
		at--
	}
	u := unit{operations: append([]int(nil), p.stack[at:]...)}
	for _, i := range u.operations {
		p.open[i] = false
	}
	u.circle = self || len(u.operations) > 1
	p.stack = p.stack[:at]
	p.units = append(p.units, u)
}
