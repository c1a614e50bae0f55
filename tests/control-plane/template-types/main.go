// Command template-types prints how Go lays out a pod template: every struct with its fields in their order, and every
// named type with what it stands for. Kubernetes names ReplicaSets by a hash over exactly this layout.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"reflect"
	"sort"
	"strings"

	v1 "k8s.io/api/core/v1"
)

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func main() {
	layout := map[string][]string{}
	origin := map[string]reflect.Type{}
	walk(reflect.TypeFor[v1.PodTemplateSpec](), layout, origin)
	names := make([]string, 0, len(layout))
	for name := range layout {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Println(strings.Join(layout[name], "\n"))
	}
}

func walk(t reflect.Type, layout map[string][]string, origin map[string]reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		walk(t.Elem(), layout, origin)
		return
	case reflect.Map:
		walk(t.Key(), layout, origin)
		if t.Name() != "" {
			layout[t.String()] = []string{fmt.Sprintf("%s = map[%s]%s", t, t.Key(), t.Elem())}
		}
		walk(t.Elem(), layout, origin)
		return
	}
	if t.PkgPath() == "" {
		return
	}
	if known, ok := origin[t.String()]; ok {
		if known != t {
			log.Fatalf("two types are called %s: %s and %s", t, known.PkgPath(), t.PkgPath())
		}
		return
	}
	origin[t.String()] = t
	switch {
	case t.Implements(unmarshaler) || reflect.PointerTo(t).Implements(unmarshaler):
		layout[t.String()] = []string{fmt.Sprintf("%s special", t)}
	case t.Kind() == reflect.Struct:
		lines := []string{fmt.Sprintf("%s struct", t)}
		for i := range t.NumField() {
			field := t.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" {
				name = "."
			}
			lines = append(lines, fmt.Sprintf("  %s %s %s", field.Name, name, field.Type))
			walk(field.Type, layout, origin)
		}
		layout[t.String()] = lines
	default:
		layout[t.String()] = []string{fmt.Sprintf("%s = %s", t, t.Kind())}
	}
}
