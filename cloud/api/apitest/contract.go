// Package apitest owns the comparison of live answers with the OpenAPI document
// that the service publishes. It is for tests alone.
package apitest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// Contract is a published document. Objects with known properties may have no
// others: a field that the document does not have is a failure.
type Contract struct {
	doc *openapi3.T
}

// Load reads and validates a document, the body of GET /openapi.json.
func Load(t testing.TB, document []byte) *Contract {
	t.Helper()
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(document)
	if err != nil {
		t.Fatalf("openapi document: %v", err)
	}
	if err := doc.Validate(loader.Context); err != nil {
		t.Fatalf("openapi document: %v", err)
	}
	closed := map[*openapi3.Schema]bool{}
	for _, s := range doc.Components.Schemas {
		seal(s, closed)
	}
	return &Contract{doc}
}

// seal forbids unknown properties in a schema and those below it.
func seal(ref *openapi3.SchemaRef, done map[*openapi3.Schema]bool) {
	if ref == nil || ref.Value == nil || done[ref.Value] {
		return
	}
	s := ref.Value
	done[s] = true
	if len(s.Properties) > 0 && s.AdditionalProperties.Has == nil && s.AdditionalProperties.Schema == nil {
		no := false
		s.AdditionalProperties.Has = &no
	}
	for _, p := range s.Properties {
		seal(p, done)
	}
	for _, below := range slices.Concat(s.OneOf, s.AllOf, s.AnyOf, []*openapi3.SchemaRef{s.Items, s.AdditionalProperties.Schema}) {
		seal(below, done)
	}
}

// Has says whether the document describes the operation of a path pattern.
func (c *Contract) Has(method, pattern string) bool {
	item := c.doc.Paths.Value(pattern)
	return item != nil && item.GetOperation(method) != nil
}

// AssertMatches holds an answer against the document: the path has the method,
// the method may answer with the status, and the body is what belongs to it.
// path may have a query.
func (c *Contract) AssertMatches(t testing.TB, method, path string, status int, body []byte) {
	t.Helper()
	item, pattern := c.find(path)
	if item == nil {
		t.Errorf("%s %s: no such path in the document", method, path)
		return
	}
	op := item.GetOperation(method)
	if op == nil {
		t.Errorf("%s %s: the document has no %s", method, pattern, method)
		return
	}
	response := op.Responses.Status(status)
	if response == nil {
		t.Errorf("%s %s: the document has no status %d", method, pattern, status)
		return
	}
	content := response.Value.Content
	if len(content) == 0 {
		if len(body) > 0 {
			t.Errorf("%s %s: status %d has no body in the document, but: %s", method, pattern, status, body)
		}
		return
	}
	media := content.Get("application/json")
	if media == nil { // a page or a stream
		return
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		t.Errorf("%s %s: status %d: the body is not JSON: %v: %s", method, pattern, status, err, body)
		return
	}
	if err := media.Schema.Value.VisitJSON(value, openapi3.VisitAsResponse(), openapi3.MultiErrors()); err != nil {
		t.Errorf("%s %s: status %d: %v\nbody: %s", method, pattern, status, err, body)
	}
}

// AssertSchema holds a value against a component: a frame of a stream.
func (c *Contract) AssertSchema(t testing.TB, component string, text []byte) {
	t.Helper()
	schema := c.doc.Components.Schemas[component]
	if schema == nil {
		t.Errorf("the document has no schema %s", component)
		return
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Errorf("%s: not JSON: %v: %s", component, err, text)
		return
	}
	if err := schema.Value.VisitJSON(value, openapi3.VisitAsResponse()); err != nil {
		t.Errorf("%s: %v\nvalue: %s", component, err, text)
	}
}

// find looks a path up; literal segments win over parameters.
func (c *Contract) find(path string) (*openapi3.PathItem, string) {
	path, _, _ = strings.Cut(path, "?")
	best, most := "", -1
	for pattern := range c.doc.Paths.Map() {
		if n := literals(pattern, path); n > most {
			best, most = pattern, n
		}
	}
	if most < 0 {
		return nil, ""
	}
	return c.doc.Paths.Value(best), best
}

func literals(pattern, path string) int {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return -1
	}
	n := 0
	for i := range want {
		switch {
		case strings.HasPrefix(want[i], "{"):
		case want[i] == have[i]:
			n++
		default:
			return -1
		}
	}
	return n
}
