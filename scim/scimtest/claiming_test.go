package scimtest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// overlay adds sort, bulk, cursors and .search to a server that answers by index.
type overlay struct{ inner http.Handler }

func claiming(inner http.Handler) http.Handler { return overlay{inner} }

func (o overlay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := strings.TrimPrefix(r.URL.Path, "/scim/v2/south")
	q := r.URL.Query()
	switch {
	case r.Header.Get("Authorization") != "Bearer "+testToken:
		o.inner.ServeHTTP(w, r)
	case target == "/ServiceProviderConfig":
		o.config(w, r)
	case target == "/Bulk" && r.Method == http.MethodPost:
		o.bulk(w, r)
	case strings.HasSuffix(target, "/.search") && r.Method == http.MethodPost:
		o.search(w, r, strings.TrimSuffix(target, "/.search"))
	case q.Has("cursor"):
		o.cursor(w, r, q)
	case q.Has("sortBy"):
		o.sort(w, r, q)
	default:
		o.inner.ServeHTTP(w, r)
	}
}

// inside asks the inner server.
func (o overlay) inside(r *http.Request, method, target string, body []byte) *httptest.ResponseRecorder {
	in := httptest.NewRequest(method, "/scim/v2/south"+target, bytes.NewReader(body))
	in.Header = r.Header.Clone()
	out := httptest.NewRecorder()
	o.inner.ServeHTTP(out, in)
	return out
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", mediaSCIM)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) //nolint:errcheck // a recorder takes everything
}

func refuse(w http.ResponseWriter, status int, scimType string) {
	answerJSON(w, status, object{"schemas": []string{urnError}, "status": strconv.Itoa(status), "scimType": scimType, "detail": "No."})
}

func (o overlay) config(w http.ResponseWriter, r *http.Request) {
	out := o.inside(r, r.Method, "/ServiceProviderConfig?"+r.URL.RawQuery, nil)
	v, err := decode(out.Body.Bytes())
	config, ok := v.(map[string]any)
	if err != nil || !ok {
		refuse(w, out.Code, "")
		return
	}
	config["sort"] = object{"supported": true}
	config["bulk"] = object{"supported": true, "maxOperations": 20, "maxPayloadSize": 1 << 20}
	config["pagination"] = object{"cursor": true, "index": true, "defaultPaginationMethod": "index"}
	answerJSON(w, out.Code, config)
}

// all is every resource that a query's filter finds.
func (o overlay) all(r *http.Request, q url.Values) ([]any, *httptest.ResponseRecorder) {
	collection := strings.TrimPrefix(r.URL.Path, "/scim/v2/south")
	out := o.inside(r, http.MethodGet, collection+"?count=200&filter="+query(q.Get("filter")), nil)
	v, err := decode(out.Body.Bytes())
	if err != nil || out.Code != http.StatusOK {
		return nil, out
	}
	list, _ := follow(v, "Resources").([]any)
	return list, nil
}

func (o overlay) sort(w http.ResponseWriter, r *http.Request, q url.Values) {
	list, failed := o.all(r, q)
	if failed != nil {
		refuse(w, failed.Code, "invalidFilter")
		return
	}
	var path []any
	for step := range strings.SplitSeq(q.Get("sortBy"), ".") {
		path = append(path, step)
	}
	slices.SortStableFunc(list, func(a, b any) int {
		x, hasX := follow(a, path...).(string)
		y, hasY := follow(b, path...).(string)
		if hasX != hasY {
			return map[bool]int{true: -1, false: 1}[hasX]
		}
		return cmp.Compare(strings.ToLower(x), strings.ToLower(y))
	})
	if q.Get("sortOrder") == "descending" {
		slices.Reverse(list)
	}
	start, count := max(atoi(q.Get("startIndex"), 1), 1), atoi(q.Get("count"), 100)
	answerJSON(w, http.StatusOK, object{"schemas": []string{urnList}, "totalResults": len(list), "startIndex": start,
		"Resources": slice(list, start-1, count)})
}

func atoi(text string, otherwise int) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return otherwise
	}
	return n
}

func slice(list []any, from, count int) []any {
	from = min(from, len(list))
	return list[from:min(from+max(count, 0), len(list))]
}

func (o overlay) cursor(w http.ResponseWriter, r *http.Request, q url.Values) {
	list, failed := o.all(r, q)
	from, valid := 0, true
	if c := q.Get("cursor"); c != "" {
		at, ours := strings.CutPrefix(c, "after-")
		from, valid = atoi(at, -1), ours
	}
	if failed != nil || !valid || from < 0 {
		refuse(w, http.StatusBadRequest, "invalidCursor")
		return
	}
	page := slice(list, from, atoi(q.Get("count"), 100))
	answer := object{"schemas": []string{urnList}, "totalResults": len(list), "itemsPerPage": len(page), "Resources": page}
	if next := from + len(page); next < len(list) {
		answer["nextCursor"] = fmt.Sprintf("after-%d", next)
	}
	if from > 0 {
		answer["previousCursor"] = "after-0"
	}
	answerJSON(w, http.StatusOK, answer)
}

func (o overlay) search(w http.ResponseWriter, r *http.Request, collection string) {
	body, _ := io.ReadAll(r.Body)
	v, err := decode(body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "invalidSyntax")
		return
	}
	q := url.Values{}
	for _, name := range []string{"filter", "startIndex", "count", "attributes"} {
		switch given := follow(v, name).(type) {
		case string:
			q.Set(name, given)
		case json.Number:
			q.Set(name, given.String())
		case []any:
			q.Set(name, strings.Trim(fmt.Sprint(given), "[]"))
		}
	}
	if collection == "" {
		collection = users
	}
	out := o.inside(r, http.MethodGet, collection+"?"+q.Encode(), nil)
	w.Header().Set("Content-Type", mediaSCIM)
	w.WriteHeader(out.Code)
	_, _ = w.Write(out.Body.Bytes()) //nolint:errcheck // a recorder takes everything
}

func (o overlay) bulk(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	v, err := decode(body)
	operations, _ := follow(v, "Operations").([]any)
	if err != nil || len(operations) > 20 {
		refuse(w, http.StatusRequestEntityTooLarge, "")
		return
	}
	limit, failed, made, done := number(follow(v, "failOnErrors")), 0, map[string]string{}, []object{}
	for _, operation := range operations {
		one := o.operate(r, operation, made)
		done = append(done, one)
		if s, _ := one["status"].(string); s >= "400" {
			if failed++; limit > 0 && failed >= limit {
				break
			}
		}
	}
	answerJSON(w, http.StatusOK, object{"schemas": []string{urnBulkAnswer}, "Operations": done})
}

func (o overlay) operate(r *http.Request, operation any, made map[string]string) object {
	method, _ := follow(operation, "method").(string)
	path, _ := follow(operation, "path").(string)
	bulkID, _ := follow(operation, "bulkId").(string)
	data, _ := json.Marshal(follow(operation, "data"))
	for name, id := range made {
		data = bytes.ReplaceAll(data, []byte("bulkId:"+name), []byte(id))
	}
	out := o.inside(r, method, path, data)
	result := object{"method": method, "bulkId": bulkID, "status": strconv.Itoa(out.Code)}
	v, err := decode(out.Body.Bytes())
	if err == nil && out.Code >= 400 {
		result["response"] = v
	}
	if id, ok := follow(v, "id").(string); err == nil && ok {
		made[bulkID] = id
		result["location"] = testURL + path + "/" + id
	}
	return result
}
