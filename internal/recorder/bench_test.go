package recorder_test

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/recorder"
)

const benchUser = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"externalId":"bench-1","userName":"bench-1@banksia.example","active":true,"displayName":"Bench Person 1","name":{"givenName":"Bench","familyName":"Person"},"emails":[{"primary":true,"type":"work","value":"bench-1@banksia.example"}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Depot 7"}}`

// BenchmarkObserve is all that a request pays: handing over what it was.
func BenchmarkObserve(b *testing.B) {
	r := recorder.New(recorder.Config{Keep: 2000, Now: time.Now})
	o := sent(north, 201, benchUser)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%1000 == 0 {
			r = recorder.New(recorder.Config{Keep: 2000, Now: time.Now})
		}
		r.Observe(o, "REF")
	}
}

// BenchmarkRecord is what becomes of it behind the request, without the store.
func BenchmarkRecord(b *testing.B) {
	o := sent(north, 201, benchUser)
	b.ReportAllocs()
	for b.Loop() {
		_ = o.Traffic.Record()
	}
}
