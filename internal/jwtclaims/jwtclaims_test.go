package jwtclaims

import (
	"strings"
	"testing"
	"time"
)

var now = time.Unix(1795262400, 0)

func parse(t testing.TB, payload string) Claims {
	t.Helper()
	c, err := Parse([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOnlyAnObjectWithoutDuplicatesIsAPayload(t *testing.T) {
	for _, payload := range []string{``, `null`, `[]`, `"x"`, `7`, `{"a":1,"a":1}`, `{"a":{"b":1,"b":2}}`, `{"a":[{"b":1,"b":2}]}`, `{"a":"` + "\xff" + `"}`, `{"a":1}{}`, `{"a":1} x`, `{"a":1e}`} {
		if c, err := Parse([]byte(payload)); err == nil {
			t.Errorf("%s was read as %v", payload, c)
		}
	}
	parse(t, `{"a":{"b":1},"A":{"b":1}}`)
}

func TestAClaimHasItsType(t *testing.T) {
	c := parse(t, `{"s":"x","empty":"","n":7,"list":["x"],"null":null,"nul":"a\u0000b","long":"`+strings.Repeat("x", 256)+`"}`)
	for _, name := range []string{"n", "list", "null", "absent"} {
		if s, err := c.Text(name); err == nil {
			t.Errorf("%s is the text %q", name, s)
		}
	}
	for _, name := range []string{"empty", "n", "null", "nul", "long", "absent"} {
		if s, err := c.Identifier(name); err == nil {
			t.Errorf("%s names %q", name, s)
		}
	}
	if c.Equals("s", "x") != nil || c.Equals("s", "y") == nil || c.Equals("empty", "") == nil || c.Equals("absent", "") == nil {
		t.Error("a claim equals what it is, and nothing equals the empty text")
	}
	var list []string
	if c.Optional("list", &list) != nil || len(list) != 1 || c.Optional("absent", &list) != nil || c.Optional("null", &list) != nil || c.Optional("n", &list) == nil {
		t.Error("an optional claim is read where it has its form, and refused where it has another")
	}
}

func TestTheAudienceIsOneAlone(t *testing.T) {
	for payload, ok := range map[string]bool{
		`{"aud":"a"}`: true, `{"aud":["a"]}`: true, `{"aud":"b"}`: true,
		`{}`: false, `{"aud":""}`: false, `{"aud":[]}`: false, `{"aud":["a","b"]}`: false, `{"aud":["a","a"]}`: false, `{"aud":7}`: false,
		`{"aud":[7]}`: false, `{"aud":null}`: false, `{"aud":{"a":1}}`: false, `{"aud":"A"}`: false, `{"aud":"a "}`: false,
	} {
		if err := parse(t, payload).Audience("a", "b"); (err == nil) != ok {
			t.Errorf("%s: %v", payload, err)
		}
	}
	if parse(t, `{"aud":""}`).Audience("") == nil {
		t.Error("nobody is an audience")
	}
}

func TestTimesAreHeldTo(t *testing.T) {
	for payload, want := range map[string]struct {
		limits Limits
		ok     bool
	}{
		`{"exp":1795262401}`:                              {Limits{}, true},
		`{"exp":1795262340.9}`:                            {Limits{}, false},
		`{"exp":1795262341}`:                              {Limits{}, true},
		`{"exp":"1795262401"}`:                            {Limits{}, false},
		`{"exp":0}`:                                       {Limits{}, false},
		`{"exp":-1}`:                                      {Limits{}, false},
		`{"exp":1e400}`:                                   {Limits{}, false},
		`{"exp":253402300800}`:                            {Limits{}, false},
		`{}`:                                              {Limits{}, false},
		`{"jti":"an event token has no end"}`:             {Limits{NoEnd: true}, true},
		`{"iat":1795262400}`:                              {Limits{NoEnd: true, Issued: true}, true},
		`{"exp":1795262401,"nbf":1795262400}`:             {Limits{Issued: true}, false},
		`{"exp":1795262401,"iat":1795262460}`:             {Limits{Issued: true}, true},
		`{"exp":1795262401,"iat":1795262461}`:             {Limits{Issued: true}, false},
		`{"exp":1795262401,"nbf":1795262461}`:             {Limits{}, false},
		`{"exp":1795266060}`:                              {Limits{Longest: time.Hour}, true},
		`{"exp":1795266061}`:                              {Limits{Longest: time.Hour}, false},
		`{"exp":1795262340,"iat":1795262400}`:             {Limits{NoEnd: true}, false},
		`{"exp":1795262401,"iat":true}`:                   {Limits{}, false},
		`{"exp":1795262401,"iat":1795262400,"nbf":"now"}`: {Limits{}, false},
	} {
		if err := parse(t, payload).Times(now, want.limits); (err == nil) != want.ok {
			t.Errorf("%s under %+v: %v", payload, want.limits, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"aud":["a"],"exp":1795262401,"iat":1,"sub":"s"}`))
	f.Add([]byte(`{"exp":NaN,"aud":null}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := Parse(payload)
		if err != nil {
			return
		}
		for name := range c {
			if s, err := c.Identifier(name); err == nil && (s == "" || len(s) > maxIdentifier) {
				t.Errorf("%q names somebody", s)
			}
			if at, err := c.Instant(name); err == nil && (at.Unix() < 0 || at.Unix() > lastInstant) {
				t.Errorf("%s is the time %s", c[name], at)
			}
		}
		if c.Audience("a") == nil && !strings.Contains(string(c["aud"]), "\"") {
			t.Errorf("%s is for a", c["aud"])
		}
	})
}
