package ssf

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

func TestSubjectsAreReadStrictly(t *testing.T) {
	for _, raw := range []string{
		`{"format":"iss_sub","iss":"https://id.example","sub":"per_1"}`,
		`{"email":"a@b.example","format":"email"}`,
		`{"format":"opaque","id":"x"}`,
		`{"format":"scim","uri":"/Users/1","externalId":"e"}`,
		`{"format":"complex","user":{"format":"email","email":"a@b.example"},"tenant":{"format":"opaque","id":"t"}}`,
	} {
		s, err := ParseSubject([]byte(raw))
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		if again, err := ParseSubject([]byte(s.Key())); err != nil || again.Key() != s.Key() {
			t.Errorf("%s is written as %s and read as %s: %v", raw, s.Key(), again.Key(), err)
		}
	}
	for _, raw := range []string{
		``, `null`, `[]`, `"x"`, `{}`, `{"format":"aliases"}`, `{"format":7}`, `{"format":"email"}`, `{"format":"email","email":""}`, `{"format":"email","email":7}`,
		`{"format":"email","email":"a","email":"b"}`, `{"format":"email","email":"a","sub":"b"}`, `{"format":"email","email":"a"} x`, `{"format":"email","email":"a"}{}`,
		`{"format":"complex"}`, `{"format":"complex","user":"x"}`, `{"format":"complex","who":{"format":"opaque","id":"x"}}`,
		`{"format":"complex","user":{"format":"complex","user":{"format":"opaque","id":"x"}}}`,
		`{"format":"opaque","id":"` + strings.Repeat("x", maxMember+1) + `"}`, "{\"format\":\"opaque\",\"id\":\"\xff\"}",
	} {
		if s, err := ParseSubject([]byte(raw)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s is read as %s: %v", raw, s.Key(), err)
		}
	}
}

// A removed subject mutes what is about it or about a part of it, and nothing in doubt.
func TestWhatARemovedSubjectMutes(t *testing.T) {
	user, email := IssSub("https://id.example", "per_1"), Email("ada@a.example")
	about := Complex(user, Opaque("ses_1"), Opaque("acme"))
	covering := map[string]bool{}
	for _, k := range Covering(about, email) {
		covering[k] = true
	}
	for removed, want := range map[string]bool{
		user.Key():  true,
		email.Key(): true,
		Complex(user, Subject{}, Subject{}).Key():            true,
		Complex(email, Subject{}, Opaque("acme")).Key():      true,
		Complex(Subject{}, Subject{}, Opaque("acme")).Key():  true,
		Complex(Subject{}, Opaque("ses_1"), Subject{}).Key(): true,
		about.Key(): true,
		Complex(user, Opaque("ses_2"), Subject{}).Key():                            false,
		Complex(user, Subject{}, Opaque("other")).Key():                            false,
		IssSub("https://other.example", "per_1").Key():                             false,
		Opaque("acme").Key():                                                       false,
		Complex(IssSub("https://id.example", "per_2"), Subject{}, Subject{}).Key(): false,
	} {
		if covering[removed] != want {
			t.Errorf("%s mutes: %v, want %v", removed, covering[removed], want)
		}
	}
	if whole := Covering(Complex(user, Subject{}, Subject{})); len(whole) != 2 {
		t.Errorf("a session that was removed must not mute what is about the whole person: %v", whole)
	}
}

func TestASETHasOneEventAndNeitherSubNorExp(t *testing.T) {
	claims, err := SET{Issuer: "https://id.example", Audience: "app", JTI: "set_1", IssuedAt: time.Unix(7, 0), Txn: "req", Subject: Opaque("x"), Type: AccountDisabled}.Claims()
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(claims, &c); err != nil {
		t.Fatal(err)
	}
	if c["sub"] != nil || c["exp"] != nil || len(c["events"].(map[string]any)) != 1 || c["iat"] != 7.0 || c["txn"] != "req" || TypeOf(claims) != AccountDisabled {
		t.Errorf("%s", claims)
	}
}

func TestAWishIsReadStrictly(t *testing.T) {
	for _, raw := range []string{
		``, `[]`, `{`, `{"delivery":7}`, `{"delivery":{}}`, `{"delivery":{"method":"urn:other"}}`, `{"delivery":{"method":"urn:ietf:rfc:8935"}}`,
		`{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"ftp://x.example"}}`, `{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://u:p@x.example"}}`,
		`{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://x.example/#f"}}`,
		`{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://x.example","authorization_header":"a\r\nb"}}`,
		`{"events_requested":"x"}`, `{"events_requested":[7]}`, `{"description":7}`, `{"stream_id":7}`, `{"stream_id":"a","stream_id":"b"}`,
		`{"events_requested":["` + strings.Repeat(`x","`, maxEvents) + `x"]}`,
	} {
		if _, _, _, err := ParseWish([]byte(raw)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s is read: %v", raw, err)
		}
	}
	id, w, said, err := ParseWish([]byte(`{"stream_id":"s","iss":"i","events_requested":[],"description":"` + strings.Repeat("ä", 400) + `",
		"delivery":{"method":"https://schemas.openid.net/secevent/risc/delivery-method/push","endpoint_url":"https://x.example/e","authorization_header":"Bearer t"}}`))
	if err != nil || id != "s" || len(said) != 1 || *w.Method != Push || w.Authorization.Reveal() != "Bearer t" || w.Requested == nil || len(*w.Description) != maxDescription {
		t.Errorf("%q %+v %v %v", id, w, said, err)
	}
	s := w.On(Stream{Method: Poll, Description: "old"})
	if s.Method != Push || s.Endpoint != "https://x.example/e" || len(s.Delivered()) != 0 {
		t.Errorf("%+v", s)
	}
	if s = (Wish{}).On(s); s.Method != Push || s.Requested == nil {
		t.Errorf("a wish for nothing changed %+v", s)
	}
	if s = (Wish{}).Whole().On(s); s.Method != Poll || s.Endpoint != "" || len(s.Delivered()) != len(ByDefault()) || s.Description != "" {
		t.Errorf("a wish for nothing that replaces left %+v", s)
	}
}

func TestPollsAreReadStrictly(t *testing.T) {
	p, err := ParsePoll([]byte(`{"maxEvents":1000000,"returnImmediately":true,"ack":["a"],"setErrs":{"b":{"err":"invalid_key","description":"d"}}}`))
	if err != nil || p.Max != MaxPoll || !p.Immediate || p.Ack[0] != "a" || p.Errors["b"].Code != "invalid_key" {
		t.Errorf("%+v %v", p, err)
	}
	if p, err := ParsePoll([]byte(`{}`)); err != nil || p.Max != MaxPoll || p.Immediate {
		t.Errorf("%+v %v", p, err)
	}
	if p, err := ParsePoll([]byte(`{"maxEvents":0}`)); err != nil || p.Max != 0 {
		t.Errorf("%+v %v", p, err)
	}
	many, _ := json.Marshal(map[string]any{"ack": make([]string, maxAcks+1)})
	for _, raw := range []string{``, `[]`, `{"maxEvents":-1}`, `{"maxEvents":"1"}`, `{"returnImmediately":"no"}`, `{"ack":"a"}`, `{"ack":[""]}`, `{"setErrs":[]}`,
		`{"setErrs":{"a":{}}}`, `{"setErrs":{"a":{"err":7}}}`, string(many)} {
		if _, err := ParsePoll([]byte(raw)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.60s is read: %v", raw, err)
		}
	}
}

func FuzzParseSubject(f *testing.F) {
	f.Add([]byte(`{"format":"complex","user":{"format":"email","email":"a"}}`))
	f.Add([]byte(`{"format":"scim","uri":"/Users/1"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := ParseSubject(raw)
		if err != nil {
			return
		}
		if again, err := ParseSubject([]byte(s.Key())); err != nil || again.Key() != s.Key() {
			t.Errorf("%q is written as %s and read as %s: %v", raw, s.Key(), again.Key(), err)
		}
		if len(Covering(s)) == 0 {
			t.Errorf("%s is muted by nothing", s.Key())
		}
	})
}

func FuzzParseSubjectRequest(f *testing.F) {
	f.Add([]byte(`{"stream_id":"s","subject":{"format":"opaque","id":"x"},"verified":true}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if id, s, err := ParseSubjectRequest(raw); err == nil && (id == "" || s.Format == "") {
			t.Errorf("%q names no stream or nobody", raw)
		}
	})
}

func FuzzParseWish(f *testing.F) {
	f.Add([]byte(`{"stream_id":"s","aud":["a"],"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://x.example"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, w, said, err := ParseWish(raw)
		if err != nil {
			return
		}
		s := w.Whole().On(Stream{ID: "s"})
		if s.Method == Push && s.Endpoint == "" || len(s.Description) > maxDescription {
			t.Errorf("%q makes %+v", raw, s)
		}
		_ = s.Configuration("https://id.example").Agrees(said) //nolint:errcheck // that it ends is the test
	})
}

func FuzzParsePoll(f *testing.F) {
	f.Add([]byte(`{"ack":["a"],"setErrs":{"b":{"err":"x"}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p, err := ParsePoll(raw); err == nil && (p.Max < 0 || p.Max > MaxPoll || len(p.Ack)+len(p.Errors) > maxAcks) {
			t.Errorf("%q is %+v", raw, p)
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte(`{"stream_id":"s","status":"paused","reason":"r"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if w, err := ParseStatus(raw); err == nil && (w.Stream == "" || len(w.Reason) > maxReason) {
			t.Errorf("%q is %+v", raw, w)
		}
	})
}

func FuzzParseVerify(f *testing.F) {
	f.Add([]byte(`{"stream_id":"s","state":"x"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if id, state, err := ParseVerify(raw); err == nil && (id == "" || len(state) > maxState) {
			t.Errorf("%q is %q %q", raw, id, state)
		}
	})
}

func FuzzParseSETError(f *testing.F) {
	f.Add([]byte(`{"err":"invalid_key","description":"d"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if e, err := ParseSETError(raw); err == nil && (e.Code == "" || len(e.Code) > maxErr) {
			t.Errorf("%q is %+v", raw, e)
		}
	})
}
