package bridge_test

import (
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkMemberAddAndRemove is one PATCH that adds, then one that removes, a
// member of a group that feeds a rule: decided, audited and durable.
func BenchmarkMemberAddAndRemove(b *testing.B) {
	for _, size := range []int{10, 2000, 200_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			w := newWorld(b)
			ids := w.people(banksia, size+1)
			group := w.hugeGroup(banksia, "GL Geelong Managers", ids[:size])
			add := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":%q}]}]}`, ids[size])
			remove := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members[value eq \"%s\"]"}]}`, ids[size])
			b.ReportAllocs()
			for b.Loop() {
				for _, body := range []string{add, remove} {
					r := httptest.NewRequest("PATCH", "/scim/v2/banksia-entra/Groups/"+group, strings.NewReader(body))
					r.Header.Set("Authorization", "Bearer "+w.tokens[banksia])
					r.Header.Set("Content-Type", "application/scim+json")
					rec := httptest.NewRecorder()
					w.scim.ServeHTTP(rec, r)
					if rec.Code != 204 {
						b.Fatal(rec.Code, rec.Body)
					}
				}
			}
		})
	}
}

// BenchmarkRefresh is one refresh: rotation, the directory's say, two ES256 signatures.
func BenchmarkRefresh(b *testing.B) {
	w := newWorld(b)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	token := w.session(banksia, "oid-sam").tokens.RefreshToken
	b.ReportAllocs()
	for b.Loop() {
		set, err := w.refresh(token)
		if err != nil {
			b.Fatal(err)
		}
		token = set.RefreshToken
	}
}

// BenchmarkMemoryOfALiveSession: what the program keeps in memory for each session that
// is live, its refresh family included, an hour after its sign-in: the code is forgotten.
func BenchmarkMemoryOfALiveSession(b *testing.B) {
	const sessions = 5000
	for b.Loop() {
		w := newWorld(b)
		sam := w.person(banksia, "sam@banksia.example", "oid-sam")
		w.group(banksia, "GL Geelong Managers", sam)
		token := w.session(banksia, "oid-sam").tokens.RefreshToken
		for range 20_000 { // what is bounded is full: the memory of tokens whose signature was checked
			set, err := w.refresh(token)
			if err != nil {
				b.Fatal(err)
			}
			token = set.RefreshToken
		}
		before := heapInUse()
		for range sessions {
			w.session(banksia, "oid-sam")
		}
		w.clock.Add(time.Hour)
		w.session(banksia, "oid-sam") // what is over goes when something comes
		b.ReportMetric((heapInUse()-before)/sessions, "B/session")
		runtime.KeepAlive(w)
	}
}

func heapInUse() float64 {
	runtime.GC()
	runtime.GC() // what the first left in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkCreateUser is POST /Users from sixteen clients at once: parsed, stored,
// audited and durable.
func BenchmarkCreateUser(b *testing.B) {
	w := newWorld(b)
	var n atomic.Int64
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"externalId":"bench-%d","userName":"bench-%d@banksia.example","active":true,"displayName":"Bench Person %d","name":{"givenName":"Bench","familyName":"Person"},"emails":[{"primary":true,"type":"work","value":"bench-%d@banksia.example"}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Depot %d"}}`, i, i, i, i, i%40)
			r := httptest.NewRequest("POST", "/scim/v2/banksia-entra/Users", strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+w.tokens[banksia])
			r.Header.Set("Content-Type", "application/scim+json")
			rec := httptest.NewRecorder()
			w.scim.ServeHTTP(rec, r)
			if rec.Code != 201 {
				b.Error(rec.Code, rec.Body)
				return
			}
		}
	})
}

// BenchmarkGetUser is GET /Users/{id} from sixteen clients at once.
func BenchmarkGetUser(b *testing.B) {
	w := newWorld(b)
	id := w.person(banksia, "sam@banksia.example", "oid-sam")
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest("GET", "/scim/v2/banksia-entra/Users/"+id, nil)
			r.Header.Set("Authorization", "Bearer "+w.tokens[banksia])
			rec := httptest.NewRecorder()
			w.scim.ServeHTTP(rec, r)
			if rec.Code != 200 {
				b.Error(rec.Code, rec.Body)
				return
			}
		}
	})
}

// BenchmarkListUsers is a list of 1,000 people, each in four groups, in pages of 200,
// which is the largest.
func BenchmarkListUsers(b *testing.B) {
	w := newWorld(b)
	const people, groups, size = 1000, 20, 200
	ids := make([]string, people)
	for i := range ids {
		body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"externalId":"bench-%d","userName":"bench-%d@banksia.example","active":true,"displayName":"Bench Person %d","title":"Driver","name":{"givenName":"Bench","familyName":"Person %d"},"emails":[{"primary":true,"type":"work","value":"bench-%d@banksia.example"}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Depot %d","employeeNumber":"%d"}}`, i, i, i, i, i, i%40, i)
		ids[i] = w.must(201, banksia, "POST", "/Users", body)["id"].(string)
	}
	for g := range groups {
		var members []string
		for i := range size {
			members = append(members, ids[(g*people/groups+i)%people])
		}
		w.group(banksia, fmt.Sprint("Bench group ", g), members...)
	}
	b.ReportAllocs()
	for b.Loop() {
		for start := 1; start <= people; start += 200 {
			r := httptest.NewRequest("GET", fmt.Sprintf("/scim/v2/banksia-entra/Users?count=200&startIndex=%d", start), nil)
			r.Header.Set("Authorization", "Bearer "+w.tokens[banksia])
			rec := httptest.NewRecorder()
			w.scim.ServeHTTP(rec, r)
			if rec.Code != 200 {
				b.Fatal(rec.Code, rec.Body)
			}
		}
	}
}
