package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
)

const namespace = "n"

// made returns an object of namespace n as a cluster has it.
func made(version, kind, name string, more map[string]any) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: more}
	object.SetAPIVersion(version)
	object.SetKind(kind)
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

// holding returns a cluster with some objects.
func holding(objects ...*unstructured.Unstructured) dynamic.Interface {
	kinds := map[schema.GroupVersionResource]string{
		endpointSlices: "EndpointSliceList", storageClasses: "StorageClassList",
		replicaSets: "ReplicaSetList", pods: "PodList",
	}
	held := make([]runtime.Object, 0, len(objects))
	for _, each := range objects {
		held = append(held, each)
	}
	return fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, held...)
}

func unready(live *unstructured.Unstructured, around ...*unstructured.Unstructured) (string, bool) {
	return awaited{objects: holding(around...)}.unready(context.Background(), live)
}

func owned(object *unstructured.Unstructured, by string) *unstructured.Unstructured {
	owner := map[string]any{"apiVersion": "v1", "kind": "Any", "name": by, "uid": by}
	_ = unstructured.SetNestedSlice(object.Object, []any{owner}, "metadata", "ownerReferences")
	object.SetLabels(map[string]string{"app": "it"})
	return object
}

func deployment(progressing map[string]any) *unstructured.Unstructured {
	object := made("apps/v1", "Deployment", "it", map[string]any{
		"spec": map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"app": "it"}}},
		"status": map[string]any{
			"observedGeneration": int64(2), "replicas": int64(1), "updatedReplicas": int64(1),
			"conditions": []any{progressing},
		},
	})
	object.SetGeneration(2)
	object.SetUID("deployment")
	object.SetAnnotations(map[string]string{revision: "2"})
	return object
}

func pod(name string, status map[string]any) *unstructured.Unstructured {
	return made("v1", "Pod", name, map[string]any{"status": status})
}

func containerOf(status map[string]any) map[string]any {
	status["name"] = "it"
	return map[string]any{"containerStatuses": []any{status}}
}

func TestWhatAWorkloadLacks(t *testing.T) {
	set := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "StatefulSet",
		"metadata": map[string]any{"generation": int64(2)},
		"spec":     map[string]any{"replicas": int64(2)},
		"status": map[string]any{
			"observedGeneration": int64(2), "replicas": int64(2), "updatedReplicas": int64(2), "readyReplicas": int64(1),
		},
	}}
	if lacks, final := unready(set); lacks != "1 of 2 readyReplicas" || final {
		t.Error(lacks, final)
	}
	_ = unstructured.SetNestedField(set.Object, int64(2), "status", "readyReplicas")
	if lacks, _ := unready(set); lacks != "" {
		t.Error(lacks)
	}
}

func TestARolloutThatIsLateHasFailedUnlessItWasLateBefore(t *testing.T) {
	late := map[string]any{
		"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
		"lastUpdateTime": "2026-01-01T00:00:00Z", "message": `ReplicaSet "it-2" has timed out progressing.`,
	}
	lacks, final := unready(deployment(late))
	told := `ProgressDeadlineExceeded: 0 of 1 availableReplicas: ReplicaSet "it-2" has timed out progressing.`
	if lacks != told || !final {
		t.Error(lacks, final)
	}
	before := awaited{late: "2026-01-01T00:00:00Z"}
	if lacks, final := before.unready(context.Background(), deployment(late)); lacks != "0 of 1 availableReplicas" || final {
		t.Error(lacks, final)
	}
	unobserved := deployment(late)
	unobserved.SetGeneration(3)
	if lacks, final := unready(unobserved); lacks != unseen || final {
		t.Error(lacks, final)
	}
}

func TestFailuresSayWhyPodsDoNotRun(t *testing.T) {
	set := func(name types.UID, number string) *unstructured.Unstructured {
		made := owned(made("apps/v1", "ReplicaSet", string(name), map[string]any{}), "deployment")
		made.SetUID(name)
		made.SetAnnotations(map[string]string{revision: number})
		return made
	}
	crashing := containerOf(map[string]any{
		"state": map[string]any{"waiting": map[string]any{"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
		"lastState": map[string]any{"terminated": map[string]any{
			"exitCode": int64(1), "reason": "Error", "message": "password correct-horse is wrong\n",
		}},
	})
	pulling := containerOf(map[string]any{
		"state": map[string]any{"waiting": map[string]any{"reason": "ImagePullBackOff", "message": "no such image"}},
	})
	objects := holding(
		set("it-1", "1"), set("it-2", "2"), owned(pod("old", pulling), "it-1"), owned(pod("new", crashing), "it-2"), pod("stranger", pulling),
	)
	inputs := property.NewMap(map[string]property.Value{"any": property.New("correct-horse").WithSecret(true)})
	thing := awaited{objects: objects, inputs: inputs}
	reasons := thing.failed("", thing.troubles(context.Background(), deployment(map[string]any{}))).Reasons
	wanted := "pod new: container it is CrashLoopBackOff: it ended with exit code 1 (Error): password [secret] is wrong"
	if len(reasons) != 2 || reasons[1] != wanted {
		t.Errorf("%q", reasons)
	}
}

func TestWhatKeepsAPodFromRunning(t *testing.T) {
	for wanted, status := range map[string]map[string]any{
		"Unschedulable: 0/2 nodes are available": {"conditions": []any{map[string]any{
			"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available",
		}}},
		"Evicted: The node was low on memory": {"reason": "Evicted", "message": "The node was low on memory"},
		"container it is CreateContainerConfigError: secret \"none\" not found": containerOf(map[string]any{"state": map[string]any{
			"waiting": map[string]any{"reason": "CreateContainerConfigError", "message": "secret \"none\" not found"},
		}}),
		"container it ended with exit code 137 (OOMKilled): see kubectl logs -n n it -c it": containerOf(map[string]any{
			"state": map[string]any{"terminated": map[string]any{"exitCode": int64(137), "reason": "OOMKilled"}},
		}),
		"container it is CrashLoopBackOff: it ended with exit code 2 (Error): see kubectl logs --previous -n n it -c it": containerOf(
			map[string]any{
				"state":     map[string]any{"waiting": map[string]any{"reason": "CrashLoopBackOff"}},
				"lastState": map[string]any{"terminated": map[string]any{"exitCode": int64(2), "reason": "Error"}},
			}),
		"container it runs and is not ready": containerOf(map[string]any{
			"started": true, "state": map[string]any{"running": map[string]any{}},
		}),
		"": containerOf(map[string]any{"state": map[string]any{"waiting": map[string]any{"reason": "ContainerCreating"}}}),
	} {
		found := awaited{}.troubles(context.Background(), pod("it", status))
		if strings.TrimPrefix(strings.Join(found, "; "), "pod it: ") != wanted {
			t.Errorf("%q: %q", wanted, found)
		}
	}
}

func TestAServiceWaitsForItsEndpoints(t *testing.T) {
	service := func(spec map[string]any) *unstructured.Unstructured {
		return made("v1", "Service", "it", map[string]any{"spec": spec})
	}
	slice := func(endpoints ...any) *unstructured.Unstructured {
		made := made("discovery.k8s.io/v1", "EndpointSlice", "it-1", map[string]any{"endpoints": endpoints})
		made.SetLabels(map[string]string{"kubernetes.io/service-name": "it"})
		return made
	}
	endpoint := func(ready, terminating bool) any {
		return map[string]any{"conditions": map[string]any{"ready": ready, "terminating": terminating}}
	}
	selector := map[string]any{"app": "it"}
	for _, each := range []struct {
		service *unstructured.Unstructured
		around  []*unstructured.Unstructured
		lacks   string
	}{
		{service(map[string]any{"selector": selector}), nil, "its endpoints are not known yet"},
		{service(map[string]any{"selector": selector}), []*unstructured.Unstructured{slice()}, ""},
		{service(map[string]any{"selector": selector}),
			[]*unstructured.Unstructured{slice(endpoint(true, false), endpoint(false, false), endpoint(false, true))},
			"1 of 2 endpoints not ready"},
		{service(map[string]any{"selector": selector}), []*unstructured.Unstructured{slice(endpoint(true, false))}, ""},
		{service(map[string]any{"selector": selector, "clusterIP": "None"}), nil, ""},
		{service(map[string]any{"selector": selector, "type": "ExternalName"}), nil, ""},
		{service(map[string]any{}), nil, ""},
		{service(map[string]any{"type": "LoadBalancer"}), nil, "no load balancer has an address for it yet"},
	} {
		if lacks, final := unready(each.service, each.around...); lacks != each.lacks || final {
			t.Errorf("%v: %q", each.service.Object["spec"], lacks)
		}
	}
}

func TestAClaimWaitsForItsVolumeUnlessThatWaitsForAPod(t *testing.T) {
	claim := func(class, phase string) *unstructured.Unstructured {
		return made("v1", "PersistentVolumeClaim", "it", map[string]any{
			"spec": map[string]any{"storageClassName": class}, "status": map[string]any{"phase": phase},
		})
	}
	class := func(name, mode string) *unstructured.Unstructured {
		made := made("storage.k8s.io/v1", "StorageClass", name, map[string]any{"volumeBindingMode": mode})
		made.SetNamespace("")
		return made
	}
	classes := []*unstructured.Unstructured{class("now", "Immediate"), class("later", "WaitForFirstConsumer")}
	pending := "it is Pending, not Bound: there is no PersistentVolume for it, and storage class %s has made none"
	for _, each := range []struct{ class, phase, lacks string }{
		{"now", "Bound", ""}, {"later", "Bound", ""}, {"later", "Pending", ""},
		{"now", "Pending", strings.Replace(pending, "%s", `"now"`, 1)}, {"", "Pending", strings.Replace(pending, "%s", `""`, 1)},
		{"later", "Lost", strings.Replace(strings.Replace(pending, "%s", `"later"`, 1), "Pending", "Lost", 1)},
	} {
		if lacks, _ := unready(claim(each.class, each.phase), classes...); lacks != each.lacks {
			t.Errorf("%v: %q", each, lacks)
		}
	}
}

func TestWaitingEndsWithWhatIsLacking(t *testing.T) {
	live := made("v1", "Namespace", "it", map[string]any{"status": map[string]any{"phase": "Terminating"}})
	cluster := holding(live)
	thing := awaited{objects: cluster, where: cluster.Resource(pods).Namespace(namespace)}
	_, failed := thing.wait(context.Background(), live, time.Nanosecond)
	if failed == nil || failed.Reasons[0] != "not ready within 1ns: it is Terminating" {
		t.Error(failed)
	}
}
