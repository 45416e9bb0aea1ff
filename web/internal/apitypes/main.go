// Command apitypes writes the API's types for the dashboard: TypeScript out of
// the OpenAPI document, which is made of the same descriptors as the handlers.
//
//	apitypes FILE
package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"ngfw.sh/cloud/api/openapi"
	"ngfw.sh/cloud/api/operation"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: apitypes FILE")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "apitypes:", err)
		os.Exit(1)
	}
}

func write(file string) error {
	var ops []*operation.Operation
	names := operation.Services()
	slices.Sort(names)
	for _, name := range names {
		list, err := operation.Of(name)
		if err != nil {
			return err
		}
		ops = append(ops, list...)
	}
	text, err := openapi.Document(ops)
	if err != nil {
		return err
	}
	var doc struct {
		Components struct{ Schemas map[string]*schema }
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return err
	}
	var out strings.Builder
	out.WriteString("// Made by internal/apitypes out of the API's descriptors; go generate makes it again.\n")
	for _, full := range slices.Sorted(maps.Keys(doc.Components.Schemas)) {
		s, name := doc.Components.Schemas[full], typeName(full)
		out.WriteByte('\n')
		if s.Type == "object" && len(s.Properties) > 0 {
			fmt.Fprintf(&out, "export interface %s %s\n", name, s.typescript(""))
			continue
		}
		fmt.Fprintf(&out, "export type %s = %s\n", name, s.typescript(""))
	}
	return os.WriteFile(file, []byte(out.String()), 0o644)
}

// schema is what of a schema of OpenAPI 3.0 makes a type.
type schema struct {
	Ref                  string `json:"$ref"`
	Type                 string
	Description          string
	Nullable             bool
	Enum                 []any
	Properties           map[string]*schema
	Required             []string
	Items                *schema
	OneOf, AllOf         []*schema
	AdditionalProperties json.RawMessage
}

func (s *schema) typescript(indent string) string {
	t := s.plain(indent)
	if s.Nullable {
		t += " | null"
	}
	return t
}

func (s *schema) plain(indent string) string {
	switch {
	case s.Ref != "":
		return typeName(s.Ref[strings.LastIndexByte(s.Ref, '/')+1:])
	case len(s.OneOf) > 0:
		return join(s.OneOf, " | ", indent)
	case len(s.AllOf) > 0:
		return join(s.AllOf, " & ", indent)
	case len(s.Enum) > 0:
		var values []string
		for _, v := range s.Enum {
			text, _ := json.Marshal(v) // came out of JSON
			values = append(values, string(text))
		}
		return strings.Join(values, " | ")
	}
	switch s.Type {
	case "string":
		return "string"
	case "integer", "number":
		return "number"
	case "boolean":
		return "boolean"
	case "array":
		item := s.Items.typescript(indent)
		if strings.Contains(item, "|") {
			item = "(" + item + ")"
		}
		return item + "[]"
	case "object":
		return s.object(indent)
	}
	return "unknown"
}

func (s *schema) object(indent string) string {
	if len(s.Properties) == 0 {
		var of schema
		if len(s.AdditionalProperties) > 0 && json.Unmarshal(s.AdditionalProperties, &of) == nil && of.Type+of.Ref != "" {
			return "Record<string, " + of.typescript(indent) + ">"
		}
		return "Record<string, unknown>"
	}
	var out strings.Builder
	out.WriteString("{\n")
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p, optional := s.Properties[name], "?"
		if slices.Contains(s.Required, name) {
			optional = ""
		}
		if p.Description != "" {
			fmt.Fprintf(&out, "%s  /** %s */\n", indent, strings.ReplaceAll(p.Description, "*/", "*\\/"))
		}
		fmt.Fprintf(&out, "%s  %s%s: %s\n", indent, name, optional, p.typescript(indent+"  "))
	}
	out.WriteString(indent + "}")
	return out.String()
}

// typeName is the name of a schema as a type: those inside of a message have a
// dot, and Error is taken.
func typeName(name string) string {
	if name == "Error" {
		return "Failure"
	}
	return strings.ReplaceAll(name, ".", "")
}

func join(list []*schema, with, indent string) string {
	var parts []string
	for _, s := range list {
		parts = append(parts, s.typescript(indent))
	}
	return strings.Join(parts, with)
}
