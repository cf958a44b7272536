package console

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	addressMax = 254 // RFC 5321 4.5.3.1.3, with the erratum
	domainMax  = 253
	labelMax   = 63
)

var errAddress = errors.New("console: not an e-mail address")

// domainOf gives the domain of an e-mail address, in lower case and ASCII form. It
// is the only reader of addresses, and a domain only ever finds a connection.
func domainOf(address string) (string, error) {
	address = strings.TrimSpace(address)
	if len(address) > addressMax || !utf8.ValidString(address) || strings.Count(address, "@") != 1 {
		return "", errAddress
	}
	local, domain, _ := strings.Cut(address, "@")
	if local == "" || strings.ContainsFunc(local, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }) {
		return "", errAddress
	}
	return asciiDomain(domain)
}

// asciiDomain checks every label and writes it in its A-label form (RFC 5890 2.3.2.1).
func asciiDomain(domain string) (string, error) {
	labels := strings.Split(strings.ToLower(domain), ".")
	if len(labels) < 2 {
		return "", errAddress
	}
	for i, l := range labels {
		a, ok := asciiLabel(l)
		if !ok {
			return "", errAddress
		}
		labels[i] = a
	}
	ascii := strings.Join(labels, ".")
	if len(ascii) > domainMax {
		return "", errAddress
	}
	return ascii, nil
}

func asciiLabel(l string) (string, bool) {
	if l == "" || l[0] == '-' || l[len(l)-1] == '-' {
		return "", false
	}
	plain := true
	for _, r := range l {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
		case r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)):
			plain = false
		default:
			return "", false
		}
	}
	if plain {
		return l, len(l) <= labelMax
	}
	// A label whose spelling is not the one canonical one is refused, not repaired.
	if !norm.NFKC.IsNormalString(l) || strings.HasPrefix(l, "xn--") {
		return "", false
	}
	a := "xn--" + punycode([]rune(l))
	return a, len(a) <= labelMax
}

// punycode encodes a label (RFC 3492 6.3). Labels are at most 254 bytes here, so
// nothing overflows.
func punycode(label []rune) string {
	const base, initialN, initialBias = 36, 0x80, 72
	var out strings.Builder
	for _, r := range label {
		if r < initialN {
			out.WriteRune(r)
		}
	}
	basic := out.Len()
	if basic > 0 {
		out.WriteByte('-')
	}
	n, delta, bias, done := rune(initialN), 0, initialBias, basic
	for done < len(label) {
		next := unicode.MaxRune
		for _, r := range label {
			if r >= n {
				next = min(next, r)
			}
		}
		delta += int(next-n) * (done + 1)
		n = next
		for _, r := range label {
			if r < n {
				delta++
			}
			if r != n {
				continue
			}
			writeDelta(&out, delta, bias)
			bias = adapt(delta, done+1, done == basic)
			delta = 0
			done++
		}
		delta++
		n++
	}
	return out.String()
}

// writeDelta writes a generalised variable-length integer (RFC 3492 3.3).
func writeDelta(out *strings.Builder, delta, bias int) {
	const base, tMin, tMax = 36, 1, 26
	const digits = "abcdefghijklmnopqrstuvwxyz0123456789"
	for k := base; ; k += base {
		t := min(max(k-bias, tMin), tMax)
		if delta < t {
			out.WriteByte(digits[delta])
			return
		}
		out.WriteByte(digits[t+(delta-t)%(base-t)])
		delta = (delta - t) / (base - t)
	}
}

// adapt is the bias adaptation of RFC 3492 6.1.
func adapt(delta, points int, first bool) int {
	const base, tMin, tMax, skew, damp = 36, 1, 26, 38, 700
	if first {
		delta /= damp
	} else {
		delta /= 2
	}
	delta += delta / points
	k := 0
	for ; delta > (base-tMin)*tMax/2; k += base {
		delta /= base - tMin
	}
	return k + (base-tMin+1)*delta/(delta+skew)
}
