package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	failure "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

const (
	patience = 10 * time.Minute
	interval = 500 * time.Millisecond
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

// wait returns an object as it is when it is ready, or when the time is over, and what it lacks then.
func wait(
	ctx context.Context, where dynamic.ResourceInterface, live *unstructured.Unstructured, limit time.Duration,
) (*unstructured.Unstructured, *p.InitializationFailed) {
	if limit == 0 {
		return live, nil
	}
	until := time.Now().Add(limit)
	for {
		lacks, final := unready(live)
		if lacks == "" {
			return live, nil
		}
		if final || time.Now().After(until) {
			if !final {
				lacks = fmt.Sprintf("not ready within %s: %s", limit, lacks)
			}
			return live, &p.InitializationFailed{Reasons: []string{lacks}}
		}
		select {
		case <-ctx.Done():
			return live, &p.InitializationFailed{Reasons: []string{"cancelled: " + lacks}}
		case <-time.After(interval):
		}
		// What cannot be read now can be soon.
		if now, err := where.Get(ctx, live.GetName(), meta.GetOptions{}); err == nil {
			live = now
		}
	}
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
func unready(live *unstructured.Unstructured) (lacks string, final bool) {
	switch live.GroupVersionKind().GroupKind().String() {
	case "Deployment.apps":
		return rollout(live, "updatedReplicas", "availableReplicas"), false
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
		return "its controller has not seen it yet"
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
