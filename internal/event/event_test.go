package event

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestPersonalDataIsNotPartOfWhatIsChained(t *testing.T) {
	e := Event{Type: SignInRefused, Actor: ByPerson, At: time.Unix(0, 0).UTC(), Connection: "c", Person: "per_1",
		Data: map[string]string{"reason": "contact_only"}, Personal: map[string]string{"email": "sam@ironbark.example"}}
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(body), "ironbark") {
		t.Errorf("%s holds what identifies a human", body)
	}
	want := `{"type":"sign_in.refused","actor":"person","at":"1970-01-01T00:00:00Z","connection":"c","person":"per_1","data":{"reason":"contact_only"}}`
	if string(body) != want {
		t.Errorf("%s", body)
	}
}
