// Prints how Go's types of the Kubernetes API are written as JSON and as protobuf: what OpenAPI does not tell.
package main

import (
	"encoding"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// A field of a struct, with those of inlined structs among them.
type field struct {
	// Its name in JSON.
	Name string `json:"name"`
	// Its type as Go writes it, packages in full.
	Type string `json:"type"`
	// Whether JSON leaves out its empty or its zero value.
	OmitEmpty bool `json:"omitEmpty,omitempty"`
	OmitZero  bool `json:"omitZero,omitempty"`
	// Its number in protobuf, after those of the structs it is inlined from.
	Numbers []int `json:"numbers,omitempty"`
	// The Go names of the structs it is inlined from.
	Inlined []string `json:"inlined,omitempty"`
	// How strategic merge patches treat it.
	PatchStrategy string `json:"patchStrategy,omitempty"`
	PatchMergeKey string `json:"patchMergeKey,omitempty"`
}

// A named type.
type named struct {
	// Fields of a struct.
	Fields []field `json:"fields,omitempty"`
	// The type it is made of, when it is no struct.
	Is string `json:"is,omitempty"`
	// Whether it writes and reads its JSON by its own code.
	Custom bool `json:"custom,omitempty"`
}

type output struct {
	// The type of each kind, by group, version and kind.
	Kinds map[string]string `json:"kinds"`
	Types map[string]named  `json:"types"`
}

var (
	marshaler       = reflect.TypeFor[json.Marshaler]()
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func main() {
	all := scheme.Scheme
	for _, add := range []func(*runtime.Scheme) error{apiextensions.AddToScheme, apiregistration.AddToScheme} {
		if err := add(all); err != nil {
			fail(err)
		}
	}
	out := output{Kinds: map[string]string{}, Types: map[string]named{}}
	for gvk, typ := range all.AllKnownTypes() {
		if gvk.Version == runtime.APIVersionInternal {
			continue
		}
		out.Kinds[strings.TrimPrefix(gvk.Group+"/"+gvk.Version+"/"+gvk.Kind, "/")] = out.visit(typ)
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[metav1.PartialObjectMetadata](), reflect.TypeFor[metav1.Status]()} {
		out.visit(typ)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(out); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Remembers a type and all it is made of, and returns its name.
func (out *output) visit(typ reflect.Type) string {
	if typ.Name() == "" || typ.PkgPath() == "" {
		return out.unnamed(typ)
	}
	name := typ.PkgPath() + "." + typ.Name()
	if _, known := out.Types[name]; known {
		return name
	}
	pointer := reflect.PointerTo(typ)
	custom := pointer.Implements(marshaler) || pointer.Implements(unmarshaler) || pointer.Implements(textUnmarshaler)
	out.Types[name] = named{Custom: custom}
	if typ.Kind() == reflect.Struct {
		out.Types[name] = named{Custom: custom, Fields: out.fields(typ, nil, nil)}
	} else {
		out.Types[name] = named{Custom: custom, Is: out.underlying(typ)}
	}
	return name
}

func (out *output) unnamed(typ reflect.Type) string {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return out.underlying(typ)
	default:
		return typ.String()
	}
}

func (out *output) underlying(typ reflect.Type) string {
	switch typ.Kind() {
	case reflect.Pointer:
		return "*" + out.visit(typ.Elem())
	case reflect.Slice:
		if typ.Elem().Kind() == reflect.Uint8 {
			return "[]uint8"
		}
		return "[]" + out.visit(typ.Elem())
	case reflect.Map:
		return "map[" + out.visit(typ.Key()) + "]" + out.visit(typ.Elem())
	default:
		return typ.Kind().String()
	}
}

func (out *output) fields(typ reflect.Type, numbers []int, inlined []string) []field {
	var fields []field
	for i := range typ.NumField() {
		member := typ.Field(i)
		tag, tagged := member.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		if !tagged || name == "-" || !member.IsExported() {
			continue
		}
		path := append(append([]int{}, numbers...), number(member)...)
		if name == "" {
			within := append(append([]string{}, inlined...), member.Name)
			fields = append(fields, out.fields(member.Type, path, within)...)
			continue
		}
		if len(path) != len(inlined)+1 {
			path = nil
		}
		fields = append(fields, field{
			Name:          name,
			Type:          out.visit(member.Type),
			OmitEmpty:     has(options, "omitempty"),
			OmitZero:      has(options, "omitzero"),
			Numbers:       path,
			Inlined:       inlined,
			PatchStrategy: member.Tag.Get("patchStrategy"),
			PatchMergeKey: member.Tag.Get("patchMergeKey"),
		})
	}
	return fields
}

func has(options, wanted string) bool {
	for option := range strings.SplitSeq(options, ",") {
		if option == wanted {
			return true
		}
	}
	return false
}

// The number of a field in protobuf; none if it is not part of it.
func number(member reflect.StructField) []int {
	parts := strings.Split(member.Tag.Get("protobuf"), ",")
	if len(parts) < 2 {
		return nil
	}
	number, err := strconv.Atoi(parts[1])
	if err != nil {
		return nil
	}
	return []int{number}
}
