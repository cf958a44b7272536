package filter

import (
	"cmp"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// SortedText is how many characters of a text are sorted by, where no index keeps
// the whole: a place in a list must stay small enough for an address.
const SortedText = 1024

// Sort is the order of a list (RFC 7644 section 3.4.2.3). Whoever has no value
// comes last when it ascends, and first when it descends.
type Sort struct {
	By         *schema.Attribute // never complex
	Descending bool
}

// ParseSort reads sortBy and sortOrder; an empty order is "ascending". An attribute
// with several values is sorted by the primary one, else the first, and a complex
// one of several values by its "value". Errors are *schema.Error, invalidValue: the
// RFC keeps invalidPath for PATCH.
func ParseSort(rt *schema.ResourceType, by, order string) (*Sort, error) {
	descending, err := parseOrder(order)
	if err != nil {
		return nil, err
	}
	a, err := rt.Attribute(by)
	if err == nil && a.Type == schema.Complex && a.MultiValued && a.SubAttribute("value") != nil {
		a = a.SubAttribute("value")
	}
	if err != nil || !a.Searchable() {
		return nil, schema.Errorf(schema.InvalidValue, "sortBy", "a %s has no attribute %q", rt.Name, schema.Clip(by))
	}
	if a.Type == schema.Complex {
		return nil, schema.Errorf(schema.InvalidValue, "sortBy", "%s is complex: name one of its sub-attributes", a.Path())
	}
	return &Sort{By: a, Descending: descending}, nil
}

func parseOrder(order string) (descending bool, err error) {
	switch {
	case order == "", strings.EqualFold(order, "ascending"):
		return false, nil
	case strings.EqualFold(order, "descending"):
		return true, nil
	}
	return false, schema.Errorf(schema.InvalidValue, "sortOrder", "%q is neither ascending nor descending", schema.Clip(order))
}

// Word is the RFC's name of the order.
func (s *Sort) Word() string {
	if s.Descending {
		return "descending"
	}
	return "ascending"
}

// Compare says which of two resources comes first: it is the meaning of a sort, and
// what a store compiles to SQL is tested against it. 0 is a tie, also between two
// without a value. Attributes that a document leaves out (id, meta, members) are
// found if it has them under their names.
func (s *Sort) Compare(a, b schema.Object) int {
	x, y := s.key(a), s.key(b)
	order := 0
	switch {
	case x == nil && y == nil:
	case x == nil:
		order = 1
	case y == nil:
		order = -1
	default:
		order = compareKeys(x, y)
	}
	if s.Descending {
		return -order
	}
	return order
}

// key is what a resource is sorted by, nil for nothing.
func (s *Sort) key(doc schema.Object) any {
	v := s.value(doc)
	text, isText := v.(string)
	switch {
	case !isText:
		return v
	case s.By.Type == schema.DateTime:
		if t, ok := schema.ParseTime(text); ok {
			return t
		}
		return nil
	case !s.By.CaseExact:
		text = schema.Fold(text)
	}
	return beginning(text)
}

func beginning(text string) string {
	left := SortedText
	for at := range text {
		if left == 0 {
			return text[:at]
		}
		left--
	}
	return text
}

func (s *Sort) value(doc schema.Object) any {
	if s.By.Parent == nil {
		return chosen(doc.Get(s.By))
	}
	in, _ := chosen(doc.Get(s.By.Parent)).(schema.Object)
	return chosen(in[s.By.Name])
}

// chosen is the primary element of a list, else its first.
func chosen(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	for _, item := range list {
		if o, ok := item.(schema.Object); ok && o["primary"] == true {
			return item
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

func compareKeys(x, y any) int {
	switch x := x.(type) {
	case bool:
		y, _ := y.(bool)
		return cmp.Compare(order(x), order(y))
	case int64:
		y, _ := y.(int64)
		return cmp.Compare(x, y)
	case float64:
		y, _ := y.(float64)
		return cmp.Compare(x, y)
	case time.Time:
		y, _ := y.(time.Time)
		return x.Compare(y)
	case string:
		y, _ := y.(string)
		return strings.Compare(x, y)
	}
	return 0
}

func order(b bool) int {
	if b {
		return 1
	}
	return 0
}

// CheckOrder refuses a sortOrder that is none, also where nothing is sorted.
func CheckOrder(order string) error {
	_, err := parseOrder(order)
	return err
}
