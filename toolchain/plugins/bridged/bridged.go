// Package bridged holds what the plugins on the Terraform bridge share: they offer only the resources that they name,
// and they refuse inputs that the Terraform provider would pass over in silence.
package bridged

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfgen"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

const typeRef = "#/types/"

// Prepare limits info to the resources it names, puts a guard before each, and returns the Pulumi schema of the rest.
//
// The schema is made here, at the start, in a few hundredths of a second: no generated file has to be kept in step.
func Prepare(info *tfbridge.ProviderInfo) ([]byte, error) {
	info.P.ResourcesMap().Range(func(name string, _ shim.Resource) bool {
		info.IgnoreMappings = append(info.IgnoreMappings, name)
		return true
	})
	info.P.DataSourcesMap().Range(func(name string, _ shim.Resource) bool {
		info.IgnoreMappings = append(info.IgnoreMappings, name)
		return true
	})
	generated, err := tfgen.GenerateSchemaWithOptions(tfgen.GenerateSchemaOptions{
		ProviderInfo:    *info,
		DiagnosticsSink: diag.DefaultSink(io.Discard, io.Discard, diag.FormatOptions{Color: colors.Never}),
		XInMemoryDocs:   true,
	})
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", info.Name, err)
	}
	spec := generated.PackageSpec
	for _, res := range info.Resources {
		res.PreCheckCallback = guard(spec, string(res.Tok))
	}
	return json.Marshal(spec)
}

// guard returns a check that refuses every input of the resource that the schema does not have.
func guard(spec schema.PackageSpec, token string) tfbridge.PreCheckCallback {
	return func(_ context.Context, inputs, _ resource.PropertyMap) (resource.PropertyMap, error) {
		return inputs, refuse(spec, token, "", spec.Resources[token].InputProperties, inputs)
	}
}

func refuse(spec schema.PackageSpec, token, path string, known map[string]schema.PropertySpec,
	inputs resource.PropertyMap,
) error {
	for _, key := range slices.Sorted(maps.Keys(inputs)) {
		name := string(key)
		// Names that start with two underscores belong to the engine and the bridge.
		if strings.HasPrefix(name, "__") {
			continue
		}
		property, ok := known[name]
		if !ok {
			return fmt.Errorf("%s: input %q is not supported by the Terraform provider behind this stand-in plugin, "+
				"which would ignore it: leave it out, or use the official plugin (supported: %s)",
				token, path+name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		if err := refuseInside(spec, token, path+name, property.TypeSpec, inputs[key]); err != nil {
			return err
		}
	}
	return nil
}

func refuseInside(spec schema.PackageSpec, token, path string, typ schema.TypeSpec, value resource.PropertyValue) error {
	switch {
	case value.IsSecret():
		return refuseInside(spec, token, path, typ, value.SecretValue().Element)
	case value.IsOutput():
		return refuseInside(spec, token, path, typ, value.OutputValue().Element)
	case value.IsArray() && typ.Items != nil:
		for i, element := range value.ArrayValue() {
			if err := refuseInside(spec, token, fmt.Sprintf("%s[%d]", path, i), *typ.Items, element); err != nil {
				return err
			}
		}
	case value.IsObject() && strings.HasPrefix(typ.Ref, typeRef):
		object := spec.Types[strings.TrimPrefix(typ.Ref, typeRef)]
		return refuse(spec, token, path+".", object.Properties, value.ObjectValue())
	}
	return nil
}
