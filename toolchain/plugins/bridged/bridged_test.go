package bridged

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func TestUnknownInputsAreRefused(t *testing.T) {
	text := schema.PropertySpec{TypeSpec: schema.TypeSpec{Type: "string"}}
	object := schema.TypeSpec{Ref: "#/types/pkg:index:Object"}
	spec := schema.PackageSpec{
		Types: map[string]schema.ComplexTypeSpec{"pkg:index:Object": {
			ObjectTypeSpec: schema.ObjectTypeSpec{Properties: map[string]schema.PropertySpec{"known": text}},
		}},
		Resources: map[string]schema.ResourceSpec{"pkg:index:Res": {
			InputProperties: map[string]schema.PropertySpec{
				"text":   text,
				"object": {TypeSpec: object},
				"list":   {TypeSpec: schema.TypeSpec{Type: "array", Items: &object}},
				"map":    {TypeSpec: schema.TypeSpec{Type: "object", AdditionalProperties: &schema.TypeSpec{Type: "string"}}},
			},
		}},
	}
	known := map[string]any{"known": "x"}
	unknown := map[string]any{"known": "x", "unknown": "x"}
	secret := resource.MakeSecret(resource.NewObjectProperty(resource.NewPropertyMapFromMap(unknown)))
	for name, test := range map[string]struct {
		inputs map[string]any
		path   string // of the input that is refused
	}{
		"known":            {map[string]any{"text": "x", "object": known, "list": []any{known}}, ""},
		"keys of a map":    {map[string]any{"map": map[string]any{"any": "x"}}, ""},
		"of the bridge":    {map[string]any{"__defaults": []any{}}, ""},
		"not computed yet": {map[string]any{"object": resource.Computed{}}, ""},
		"unknown":          {map[string]any{"other": resource.Computed{}}, "other"},
		"in an object":     {map[string]any{"object": unknown}, "object.unknown"},
		"in a list":        {map[string]any{"list": []any{known, unknown}}, "list[1].unknown"},
		"in a secret":      {map[string]any{"object": secret}, "object.unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := guard(spec, "pkg:index:Res")(t.Context(), resource.NewPropertyMapFromMap(test.inputs), nil)
			switch {
			case test.path == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.path != "" && (err == nil || !strings.Contains(err.Error(), "input \""+test.path+"\"")):
				t.Errorf("%s was not refused: %v", test.path, err)
			}
		})
	}
}
