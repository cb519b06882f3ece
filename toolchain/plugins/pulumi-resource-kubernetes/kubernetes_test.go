package main

import (
	"context"
	"reflect"
	"strings"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func properties(made map[string]any) property.Map {
	return resource.FromResourcePropertyMap(resource.NewPropertyMapFromMap(made))
}

func urn(kind string) resource.URN {
	return resource.NewURN("test", "test", "", tokens.Type(kind), "Thing")
}

func TestKindsOfOtherPluginsAreRefused(t *testing.T) {
	for _, token := range []string{
		"kubernetes:core/v1:ConfigMapPatch", "kubernetes:core/v1:SecretList", "kubernetes:helm.sh/v3:Release",
		"kubernetes:yaml/v2:ConfigGroup", "kubernetes:apps/v1:DaemonSet", "kubernetes:storage.k8s.io/v1:StorageClass",
	} {
		if _, err := kindOf(tokens.Type(token)); err == nil || !strings.Contains(err.Error(), token+" is not supported") {
			t.Errorf("%s: %v", token, err)
		}
	}
	custom, err := kindOf("kubernetes:spinnaker.io/v1alpha2:SpinnakerService")
	if err != nil || custom.gvk != gvk("spinnaker.io", "v1alpha2", "SpinnakerService") {
		t.Error(custom, err)
	}
}

func TestPatchesOfCustomResourcesNameWhatTheySetFieldsOf(t *testing.T) {
	token := "kubernetes:spinnaker.io/v1alpha2:SpinnakerServicePatch"
	patch, err := kindOf(tokens.Type(token))
	if err != nil || !patch.patch || patch.gvk != gvk("spinnaker.io", "v1alpha2", "SpinnakerService") {
		t.Error(patch, err)
	}
	req := p.CheckRequest{Urn: urn(token), Inputs: properties(map[string]any{"kind": "SpinnakerService"})}
	if checked, err := (&kubernetes{}).check(context.Background(), req); err != nil || len(checked.Failures) != 1 {
		t.Error(checked, err)
	}
	other := resource.NewURN("test", "test", "", tokens.Type(token), "Other")
	if managerOf(urn(token)) == managerOf(other) || managerOf(urn("kubernetes:core/v1:Secret")) != manager {
		t.Error(managerOf(urn(token)), managerOf(other))
	}
}

func TestNamesAreMadeOnceAndSaidToBe(t *testing.T) {
	k := &kubernetes{}
	req := p.CheckRequest{Urn: urn("kubernetes:core/v1:Secret"), Inputs: properties(map[string]any{"kind": "Secret"})}
	first, err := k.check(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	name := text(first.Inputs, "metadata", "name")
	if !strings.HasPrefix(name, "thing-") || len(name) != len("thing-")+randomness {
		t.Error(name)
	}
	if text(first.Inputs, "metadata", "namespace") != "default" {
		t.Error(first.Inputs)
	}
	req.State = first.Inputs
	if second, _ := k.check(context.Background(), req); text(second.Inputs, "metadata", "name") != name {
		t.Error(second.Inputs)
	}
}

func TestWhatIsInASecretIsSecret(t *testing.T) {
	made := secretAs(properties(map[string]any{"kind": "Secret", "data": map[string]any{"a": "b"}}), property.Map{})
	if !made.Get("data").Secret() {
		t.Error(made)
	}
	given := property.NewMap(map[string]property.Value{"data": property.New("b").WithSecret(true)})
	if made := secretAs(properties(map[string]any{"kind": "ConfigMap", "data": "b"}), given); !made.Get("data").Secret() {
		t.Error(made)
	}
}

func TestWhatKubectlCopiedOfASecretIsSecretAndNotImported(t *testing.T) {
	live := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "data": map[string]any{"a": "c2VjcmV0"},
		"metadata": map[string]any{"name": "a", "annotations": map[string]any{lastApplied: `{"data":{"a":"c2VjcmV0"}}`}},
	}}
	annotations := outputs(live, property.Map{}).Get("metadata").AsMap().Get("annotations").AsMap()
	if !annotations.Get(lastApplied).Secret() {
		t.Error(annotations)
	}
	inputs := imported(live)
	if _, has := inputs.Get("metadata").AsMap().GetOk("annotations"); has || !inputs.Get("data").Secret() {
		t.Error(inputs)
	}
}

func TestWhatIsReplaced(t *testing.T) {
	named := func(name string, more map[string]any) property.Map {
		more["metadata"] = map[string]any{"name": name, "namespace": "n"}
		return properties(more)
	}
	spec := func(made map[string]any) map[string]any { return map[string]any{"spec": made} }
	referring := func(role string) map[string]any {
		return map[string]any{"roleRef": map[string]any{"kind": "Role", "name": role}}
	}
	held := func(immutable bool, value string) map[string]any {
		return map[string]any{"immutable": immutable, "data": map[string]any{"k": value}}
	}
	selecting := func(app string) map[string]any {
		return map[string]any{"spec": map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"app": app}}}}
	}
	for _, each := range []struct {
		kind        string
		old, wanted property.Map
		path        string
		as          p.DiffKind
		first       bool
	}{
		{"apps/v1:StatefulSet", named("a", selecting("x")), named("a", selecting("y")),
			"spec.selector.matchLabels.app", p.UpdateReplace, true},
		{"core/v1:ServiceAccount", named("a", map[string]any{}), named("b", map[string]any{}),
			"metadata.name", p.UpdateReplace, false},
		{"core/v1:ConfigMap", named("a", map[string]any{"data": map[string]any{"k": "1"}}), named("a", map[string]any{}),
			"data", p.DeleteReplace, true},
		{"core/v1:Service", named("a", map[string]any{"spec": map[string]any{"type": "ClusterIP"}}),
			named("a", map[string]any{"spec": map[string]any{"type": "NodePort"}}), "spec.type", p.Update, false},
		{"core/v1:Service", named("a", spec(map[string]any{"clusterIP": "10.96.0.7"})),
			named("a", spec(map[string]any{"clusterIP": "None"})), "spec.clusterIP", p.UpdateReplace, true},
		{"core/v1:PersistentVolumeClaim", named("a", spec(map[string]any{"accessModes": []any{"ReadWriteOnce"}})),
			named("a", spec(map[string]any{"accessModes": []any{"ReadWriteMany"}})),
			"spec.accessModes[0]", p.UpdateReplace, true},
		{"core/v1:PersistentVolumeClaim", named("a", spec(map[string]any{"storageClassName": "slow"})),
			named("a", spec(map[string]any{"storageClassName": "fast"})), "spec.storageClassName", p.UpdateReplace, true},
		{"core/v1:PersistentVolumeClaim", named("a", spec(map[string]any{})),
			named("a", spec(map[string]any{"volumeName": "v"})), "spec.volumeName", p.AddReplace, true},
		{"core/v1:PersistentVolumeClaim", named("a", spec(map[string]any{"resources": "1Gi"})),
			named("a", spec(map[string]any{"resources": "2Gi"})), "spec.resources", p.Update, false},
		{"rbac.authorization.k8s.io/v1:RoleBinding", named("a", referring("x")), named("a", referring("y")),
			"roleRef.name", p.UpdateReplace, true},
		{"core/v1:Secret", named("a", held(true, "1")), named("a", held(true, "2")), "data.k", p.UpdateReplace, true},
		{"core/v1:Secret", named("a", held(false, "1")), named("a", held(true, "1")), "immutable", p.Update, false},
		{"core/v1:Secret", named("a", held(true, "1")), named("a", held(false, "1")), "immutable", p.UpdateReplace, true},
	} {
		req := p.DiffRequest{Urn: urn("kubernetes:" + each.kind), OldInputs: each.old, Inputs: each.wanted}
		diff, err := (&kubernetes{}).diff(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		wanted := map[string]p.PropertyDiff{each.path: {Kind: each.as, InputDiff: true}}
		if !reflect.DeepEqual(diff.DetailedDiff, wanted) || diff.DeleteBeforeReplace != each.first {
			t.Errorf("%s: %v", each.kind, diff)
		}
	}
}

func TestWhatIsMutableIsReplacedOnlyWhereItIsImmutable(t *testing.T) {
	k := &kubernetes{settings: settings{configMapMutable: true, secretMutable: true}}
	for _, each := range []struct {
		kind      string
		immutable bool
		as        p.DiffKind
	}{
		{"ConfigMap", false, p.Update}, {"ConfigMap", true, p.UpdateReplace},
		{"Secret", false, p.Update}, {"Secret", true, p.UpdateReplace},
	} {
		made := func(value string) property.Map {
			return properties(map[string]any{"immutable": each.immutable, "data": map[string]any{"k": value}})
		}
		req := p.DiffRequest{Urn: urn("kubernetes:core/v1:" + each.kind), OldInputs: made("1"), Inputs: made("2")}
		if diff, err := k.diff(context.Background(), req); err != nil || diff.DetailedDiff["data.k"].Kind != each.as {
			t.Errorf("%s: %v %v", each.kind, diff, err)
		}
	}
}

func TestTextOfASecretIsSentAsData(t *testing.T) {
	sent := object(properties(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "stringData": map[string]any{"a": "b"}, "data": map[string]any{"c": "ZA=="},
	}))
	data, _, _ := unstructured.NestedStringMap(sent.Object, "data")
	if !reflect.DeepEqual(data, map[string]string{"a": "Yg==", "c": "ZA=="}) || sent.Object["stringData"] != nil {
		t.Error(sent.Object)
	}
}
