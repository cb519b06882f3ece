package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

func secret(value any) property.Value {
	switch given := value.(type) {
	case string:
		return property.New(given).WithSecret(true)
	case float64:
		return property.New(given).WithSecret(true)
	default:
		return property.New(value.(property.Map)).WithSecret(true)
	}
}

func TestWhatIsSecretInInputsIsInNoError(t *testing.T) {
	spec := property.NewMap(map[string]property.Value{
		"env": property.New([]property.Value{
			property.New(property.NewMap(map[string]property.Value{"name": property.New("KEY"), "value": secret("p\"w\nd")})),
		}),
		"all":  secret(property.NewMap(map[string]property.Value{"deep": property.New("hunter2"), "more": property.New("hunter22")})),
		"port": secret(6379.0),
		"open": property.New("not secret"),
	})
	inputs := property.NewMap(map[string]property.Value{"kind": property.New("SpinnakerService"), "spec": property.New(spec)})
	said := `spec.env[0].value: Invalid value: "p\"w\nd": no; hunter22, hunter2 and aHVudGVyMg== on 6379 are not secret`
	told := refused(urn("kubernetes:spinnaker.io/v1alpha2:SpinnakerService"), inputs, errors.New(said)).Error()
	wanted := `spec.env[0].value: Invalid value: "[secret]": no; [secret], [secret] and [secret] on [secret] are not secret`
	if !strings.HasSuffix(told, wanted) {
		t.Error(told)
	}
}

func TestWhatIsInASecretIsInNoError(t *testing.T) {
	inputs := secretAs(properties(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "data": map[string]any{"a": "aHVudGVyMg=="}, "stringData": map[string]any{"b": "swordfish"},
	}), property.Map{})
	told := redacted("aHVudGVyMg== is hunter2, c3dvcmRmaXNo is swordfish", inputs)
	if told != "[secret] is [secret], [secret] is [secret]" {
		t.Error(told)
	}
}
