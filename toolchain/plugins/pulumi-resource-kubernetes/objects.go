package main

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	autonamed     = "pulumi.com/autonamed"
	skipAwait     = "pulumi.com/skipAwait"
	patchForce    = "pulumi.com/patchForce"
	awaitDeadline = "pulumi.com/timeoutSeconds"
)

var secretKeys = []string{"data", "stringData"}

// lastApplied is where `kubectl apply` keeps a copy of all that it was given.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// object returns what the API server is sent for the inputs of a resource.
func object(inputs property.Map) *unstructured.Unstructured {
	made := &unstructured.Unstructured{Object: plain(property.New(inputs)).(map[string]any)}
	if isSecret(made) {
		encodeStringData(made)
	}
	return made
}

func isSecret(object *unstructured.Unstructured) bool {
	return object.GetKind() == "Secret" && object.GetAPIVersion() == "v1"
}

// encodeStringData moves what a Secret has as text to where the API server keeps it. It would do the same, but then
// nobody owned the keys, and one that is left out later stayed.
func encodeStringData(secret *unstructured.Unstructured) {
	text, _, _ := unstructured.NestedStringMap(secret.Object, "stringData")
	data, _, _ := unstructured.NestedStringMap(secret.Object, "data")
	if len(text) == 0 {
		return
	}
	if data == nil {
		data = map[string]string{}
	}
	for key, value := range text {
		data[key] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	delete(secret.Object, "stringData")
	_ = unstructured.SetNestedStringMap(secret.Object, data, "data") // strings always fit
}

// plain returns a value as JSON has it; whole numbers are integers, as the API server insists.
func plain(value property.Value) any {
	switch {
	case value.IsMap():
		made := map[string]any{}
		for key, each := range value.AsMap().All {
			if !each.IsNull() && !internal(key) {
				made[key] = plain(each)
			}
		}
		return made
	case value.IsArray():
		made := make([]any, 0, value.AsArray().Len())
		for _, each := range value.AsArray().All {
			made = append(made, plain(each))
		}
		return made
	case value.IsNumber():
		if number := value.AsNumber(); number == float64(int64(number)) {
			return int64(number)
		}
		return value.AsNumber()
	case value.IsBool():
		return value.AsBool()
	case value.IsString():
		return value.AsString()
	default:
		return nil
	}
}

// internal is whether a property is the SDK's own.
func internal(key string) bool {
	return strings.HasPrefix(key, "__")
}

// outputs returns an object of the cluster as the properties of a resource. What is secret in its inputs is secret here.
func outputs(live *unstructured.Unstructured, inputs property.Map) property.Map {
	shown := live.DeepCopy()
	unstructured.RemoveNestedField(shown.Object, "metadata", "managedFields")
	made := resource.FromResourcePropertyMap(resource.NewPropertyMapFromMap(shown.Object))
	if isSecret(live) {
		// As text it is only in the inputs.
		if text, given := inputs.GetOk("stringData"); given {
			made = made.Set("stringData", text)
		}
	}
	return secretAs(made, inputs)
}

// secretAs returns properties in which everything is secret that is secret in others, and what is in a Secret; so is
// kubectl's copy of an object, which can hold the same.
func secretAs(made, others property.Map) property.Map {
	made = asIn(property.New(made), property.New(others)).AsMap()
	made = secretCopy(made)
	if made.Get("kind").IsString() && made.Get("kind").AsString() == "Secret" {
		for _, key := range secretKeys {
			if value, has := made.GetOk(key); has {
				made = made.Set(key, value.WithSecret(true))
			}
		}
	}
	return made
}

func secretCopy(made property.Map) property.Map {
	metadata := made.Get("metadata")
	if !metadata.IsMap() || !metadata.AsMap().Get("annotations").IsMap() {
		return made
	}
	annotations := metadata.AsMap().Get("annotations")
	copied, has := annotations.AsMap().GetOk(lastApplied)
	if !has {
		return made
	}
	kept := annotations.AsMap().Set(lastApplied, copied.WithSecret(true))
	held := metadata.AsMap().Set("annotations", property.New(kept).WithSecret(annotations.Secret()))
	return made.Set("metadata", property.New(held).WithSecret(metadata.Secret()))
}

func asIn(value, other property.Value) property.Value {
	switch {
	case other.Secret():
		return value.WithSecret(true)
	case value.IsMap() && other.IsMap():
		made := value.AsMap()
		for _, key := range slices.Sorted(maps.Keys(made.AsMap())) {
			if under, has := other.AsMap().GetOk(key); has {
				made = made.Set(key, asIn(made.Get(key), under))
			}
		}
		return property.New(made)
	case value.IsArray() && other.IsArray():
		made := value.AsArray().AsSlice()
		for i := range min(len(made), other.AsArray().Len()) {
			made[i] = asIn(made[i], other.AsArray().Get(i))
		}
		return property.New(made)
	default:
		return value
	}
}

// drifted returns inputs with the values that the cluster has for them, without those that it does not have any more.
func drifted(inputs, live property.Value) property.Value {
	switch {
	case inputs.IsMap() && live.IsMap():
		made := inputs.AsMap()
		for key, each := range inputs.AsMap().All {
			if now, has := live.AsMap().GetOk(key); has {
				made = made.Set(key, drifted(each, now))
			} else {
				made = made.Delete(key)
			}
		}
		return property.New(made).WithSecret(inputs.Secret())
	case inputs.IsArray() && live.IsArray() && inputs.AsArray().Len() == live.AsArray().Len():
		made := inputs.AsArray().AsSlice()
		for i := range made {
			made[i] = drifted(made[i], live.AsArray().Get(i))
		}
		return property.New(made).WithSecret(inputs.Secret())
	default:
		return live.WithSecret(inputs.Secret())
	}
}

// decoded returns the text of a Secret that the cluster has for the keys that were given as text.
func decoded(inputs property.Map, live *unstructured.Unstructured) property.Value {
	given := inputs.Get("stringData")
	if !given.IsMap() {
		return given
	}
	data, _, _ := unstructured.NestedStringMap(live.Object, "data")
	now := map[string]property.Value{}
	for key := range given.AsMap().All {
		if value, err := base64.StdEncoding.DecodeString(data[key]); err == nil && data[key] != "" {
			now[key] = property.New(string(value))
		}
	}
	return property.New(now).WithSecret(true)
}

// imported returns the inputs that would make an object: all of it but what the API server and kubectl fill in.
func imported(live *unstructured.Unstructured) property.Map {
	wanted := live.DeepCopy()
	unstructured.RemoveNestedField(wanted.Object, "status")
	for _, field := range []string{"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"} {
		unstructured.RemoveNestedField(wanted.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(wanted.Object, "metadata", "annotations", lastApplied)
	if len(wanted.GetAnnotations()) == 0 {
		unstructured.RemoveNestedField(wanted.Object, "metadata", "annotations")
	}
	return secretAs(resource.FromResourcePropertyMap(resource.NewPropertyMapFromMap(wanted.Object)), property.Map{})
}

// text returns a string at a path of properties, or "" where there is none or it is not known yet.
func text(properties property.Map, path ...string) string {
	value := property.New(properties)
	for _, key := range path {
		if !value.IsMap() {
			return ""
		}
		value = value.AsMap().Get(key)
	}
	if !value.IsString() {
		return ""
	}
	return value.AsString()
}
