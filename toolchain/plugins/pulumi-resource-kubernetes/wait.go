package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	discovery "k8s.io/api/discovery/v1"
	failure "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

const (
	patience = 10 * time.Minute
	interval = 500 * time.Millisecond
	glance   = 5 * time.Second // how often it is asked why pods do not run

	unseen   = "its controller has not seen it yet"
	lateness = "ProgressDeadlineExceeded"
)

// Where is found what belongs to an object.
var (
	endpointSlices = schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}
	storageClasses = schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}
	replicaSets    = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}
	pods           = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

// limit returns how long an object may take to become ready; not at all if nobody wants to wait.
func limit(object *unstructured.Unstructured, seconds float64) time.Duration {
	annotations := object.GetAnnotations()
	if annotations[skipAwait] == "true" {
		return 0
	}
	if given, err := strconv.ParseFloat(annotations[awaitDeadline], 64); err == nil && seconds == 0 {
		seconds = given
	}
	return deadline(seconds)
}

// awaited is what has to be known to wait for an object.
type awaited struct {
	objects dynamic.Interface
	where   dynamic.ResourceInterface
	inputs  property.Map
	// late is when its rollout had been found to be late before it was changed: that says nothing of the present one.
	late string
}

// wait returns an object as it is when it is ready, or when it cannot become so or the time is over, and what it lacks then.
func (a awaited) wait(
	ctx context.Context, live *unstructured.Unstructured, limit time.Duration,
) (*unstructured.Unstructured, *p.InitializationFailed) {
	if limit == 0 {
		return live, nil
	}
	until := time.Now().Add(limit)
	a.late, _ = late(live)
	var why []string
	var said string
	var looked time.Time
	for {
		lacks, final := a.unready(ctx, live)
		if lacks == "" {
			return live, nil
		}
		over := time.Now().After(until)
		if final || over || time.Since(looked) > glance {
			why, looked = nil, time.Now()
			if lacks != unseen { // the pods of the last rollout say nothing of this one
				why = a.troubles(ctx, live)
			}
			// Each is a line where there is no terminal.
			if now := redacted(strings.Join(append([]string{lacks}, why...), "; "), a.inputs); now != said {
				p.GetLogger(ctx).InfoStatus(now)
				said = now
			}
		}
		if over && !final {
			lacks = fmt.Sprintf("not ready within %s: %s", limit, lacks)
		}
		if final || over {
			return live, a.failed(lacks, why)
		}
		select {
		case <-ctx.Done():
			return live, a.failed("cancelled: "+lacks, why)
		case <-time.After(interval):
		}
		// What cannot be read now can be soon.
		if now, err := a.where.Get(ctx, live.GetName(), meta.GetOptions{}); err == nil {
			live = now
		}
	}
}

func (a awaited) failed(lacks string, why []string) *p.InitializationFailed {
	reasons := append([]string{lacks}, why...)
	for i := range reasons {
		reasons[i] = redacted(reasons[i], a.inputs)
	}
	return &p.InitializationFailed{Reasons: reasons}
}

// gone waits until an object is no more.
func gone(ctx context.Context, where dynamic.ResourceInterface, name string, limit time.Duration) error {
	until := time.Now().Add(limit)
	for {
		live, err := where.Get(ctx, name, meta.GetOptions{})
		if failure.IsNotFound(err) {
			return nil
		}
		if time.Now().After(until) {
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return fmt.Errorf("%s: not gone within %s: finalizers %v", name, limit, live.GetFinalizers())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(interval):
		}
	}
}

// unready returns what an object lacks to be ready, "" if nothing, and whether no time will change that.
func (a awaited) unready(ctx context.Context, live *unstructured.Unstructured) (lacks string, final bool) {
	switch live.GroupVersionKind().GroupKind().String() {
	case "Deployment.apps":
		lacks := rollout(live, "updatedReplicas", "availableReplicas")
		if since, why := late(live); lacks != "" && lacks != unseen && since != "" && since != a.late {
			return fmt.Sprintf("%s: %s: %s", lateness, lacks, why), true
		}
		return lacks, false
	case "StatefulSet.apps":
		return rollout(live, "updatedReplicas", "readyReplicas"), false
	case "Pod":
		phase, _, _ := unstructured.NestedString(live.Object, "status", "phase")
		if phase == "Succeeded" {
			return "", false
		}
		return condition(live, "Ready"), phase == "Failed"
	case "Job.batch":
		if failed := condition(live, "Failed"); failed == "" {
			return "the job failed: " + message(live, "Failed"), true
		}
		return condition(live, "Complete"), false
	case "Service":
		return a.served(ctx, live), false
	case "PersistentVolumeClaim":
		return a.bound(ctx, live), false
	case "CustomResourceDefinition.apiextensions.k8s.io":
		return condition(live, "Established"), false
	case "Namespace":
		if phase, _, _ := unstructured.NestedString(live.Object, "status", "phase"); phase != "Active" {
			return "it is " + phase, false
		}
	}
	return "", false
}

// rollout returns what a workload lacks until all of its replicas are of the present generation and serve.
func rollout(live *unstructured.Unstructured, updated, serving string) string {
	if observed, _, _ := unstructured.NestedInt64(live.Object, "status", "observedGeneration"); observed < live.GetGeneration() {
		return unseen
	}
	wanted, given, _ := unstructured.NestedInt64(live.Object, "spec", "replicas")
	if !given {
		wanted = 1
	}
	for _, count := range []string{"replicas", updated, serving} {
		if now, _, _ := unstructured.NestedInt64(live.Object, "status", count); now != wanted {
			return fmt.Sprintf("%d of %d %s", now, wanted, count)
		}
	}
	return ""
}

// late returns since when the rollout of a Deployment has made no progress for longer than its progressDeadlineSeconds,
// "" if it does, and what its controller says.
func late(live *unstructured.Unstructured) (since, why string) {
	found := lookup(live, "Progressing")
	if found["status"] != "False" || found["reason"] != lateness {
		return "", ""
	}
	since, _ = found["lastUpdateTime"].(string)
	return since, message(live, "Progressing")
}

// served returns what a Service lacks until none of its endpoints is unready and a load balancer has its address. One
// that selects no pods yet lacks nothing: they may be made after it.
func (a awaited) served(ctx context.Context, live *unstructured.Unstructured) string {
	spec, _, _ := unstructured.NestedMap(live.Object, "spec")
	if addresses, _, _ := unstructured.NestedSlice(live.Object, "status", "loadBalancer", "ingress"); spec["type"] ==
		"LoadBalancer" && len(addresses) == 0 {
		return "no load balancer has an address for it yet"
	}
	if spec["type"] == "ExternalName" || spec["clusterIP"] == "None" || spec["selector"] == nil {
		return ""
	}
	slices, err := a.objects.Resource(endpointSlices).Namespace(live.GetNamespace()).List(
		ctx, meta.ListOptions{LabelSelector: discovery.LabelServiceName + "=" + live.GetName()})
	switch {
	case failure.IsForbidden(err):
		return "" // who may not look cannot wait
	case err != nil:
		return "its endpoints cannot be read: " + err.Error()
	case len(slices.Items) == 0:
		return "its endpoints are not known yet"
	}
	all, unready := 0, 0
	for _, each := range slices.Items {
		var slice discovery.EndpointSlice
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(each.Object, &slice); err != nil {
			return "its endpoints cannot be read: " + err.Error()
		}
		for _, endpoint := range slice.Endpoints {
			if is := endpoint.Conditions; is.Terminating == nil || !*is.Terminating {
				all++
				if is.Ready != nil && !*is.Ready {
					unready++
				}
			}
		}
	}
	if unready > 0 {
		return fmt.Sprintf("%d of %d endpoints not ready", unready, all)
	}
	return ""
}

// bound returns what a claim lacks until it has a volume. Where its storage class makes one for the first pod that asks
// for it, it has to wait for that pod.
func (a awaited) bound(ctx context.Context, live *unstructured.Unstructured) string {
	phase, _, _ := unstructured.NestedString(live.Object, "status", "phase")
	if phase == "Bound" {
		return ""
	}
	class, _, _ := unstructured.NestedString(live.Object, "spec", "storageClassName")
	if phase == "Pending" && class != "" {
		found, err := a.objects.Resource(storageClasses).Get(ctx, class, meta.GetOptions{})
		if err == nil && found.Object["volumeBindingMode"] == "WaitForFirstConsumer" {
			return ""
		}
	}
	return fmt.Sprintf("it is %s, not Bound: there is no PersistentVolume for it, and storage class %q has made none", phase, class)
}

// condition returns why a condition does not hold, "" if it does.
func condition(live *unstructured.Unstructured, name string) string {
	found := lookup(live, name)
	if found["status"] == "True" {
		return ""
	}
	if text, _ := found["message"].(string); text != "" {
		return text
	}
	return "not " + name + " yet"
}

func message(live *unstructured.Unstructured, name string) string {
	text, _ := lookup(live, name)["message"].(string)
	return text
}

func lookup(live *unstructured.Unstructured, name string) map[string]any {
	conditions, _, _ := unstructured.NestedSlice(live.Object, "status", "conditions")
	for _, each := range conditions {
		if found, _ := each.(map[string]any); found["type"] == name {
			return found
		}
	}
	return nil
}
