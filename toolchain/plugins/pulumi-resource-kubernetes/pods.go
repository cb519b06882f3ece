package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

const (
	revision    = "deployment.kubernetes.io/revision"
	shownPods   = 5
	quotedLines = 5
)

// starting are the reasons of containers that wait as they should.
var starting = []string{"", "ContainerCreating", "PodInitializing"}

// troubles returns what keeps the pods of an object from running, as far as that can be seen.
func (a awaited) troubles(ctx context.Context, live *unstructured.Unstructured) []string {
	var found []string
	for _, each := range a.podsOf(ctx, live) {
		var pod core.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(each.Object, &pod); err != nil {
			continue
		}
		if why := trouble(&pod); len(why) > 0 && pod.DeletionTimestamp == nil {
			found = append(found, fmt.Sprintf("pod %s: %s", pod.Name, strings.Join(why, ", ")))
		}
	}
	slices.Sort(found)
	if more := len(found) - shownPods; more > 0 {
		found = append(found[:shownPods], fmt.Sprintf("%d more pods", more))
	}
	return found
}

// podsOf returns the pods that an object waits for. Those of earlier rollouts of a Deployment are not among them.
func (a awaited) podsOf(ctx context.Context, live *unstructured.Unstructured) []unstructured.Unstructured {
	selector := selected(live)
	kind := live.GetKind()
	switch {
	case kind == "Pod":
		return []unstructured.Unstructured{*live}
	case selector == "" || !slices.Contains([]string{"Deployment", "StatefulSet", "Job", "Service"}, kind):
		return nil
	}
	owner := live.GetUID()
	if kind == "Deployment" {
		owner = ""
		for _, set := range a.list(ctx, replicaSets, live.GetNamespace(), selector) {
			if owns(live.GetUID(), set) && set.GetAnnotations()[revision] == live.GetAnnotations()[revision] {
				owner = set.GetUID()
			}
		}
	}
	found := a.list(ctx, pods, live.GetNamespace(), selector)
	if kind == "Service" {
		return found
	}
	return slices.DeleteFunc(found, func(pod unstructured.Unstructured) bool { return !owns(owner, pod) })
}

// list returns what can be read; nothing where that is not allowed.
func (a awaited) list(
	ctx context.Context, what schema.GroupVersionResource, namespace, selector string,
) []unstructured.Unstructured {
	found, err := a.objects.Resource(what).Namespace(namespace).List(ctx, meta.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil
	}
	return found.Items
}

func owns(owner types.UID, object unstructured.Unstructured) bool {
	return slices.ContainsFunc(object.GetOwnerReferences(), func(each meta.OwnerReference) bool { return each.UID == owner })
}

// selected returns how the pods of an object are told from others, "" if it has none.
func selected(live *unstructured.Unstructured) string {
	given, _, _ := unstructured.NestedMap(live.Object, "spec", "selector")
	if live.GetKind() == "Service" {
		given = map[string]any{"matchLabels": given}
	}
	var selector meta.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(given, &selector); err != nil {
		return ""
	}
	if len(selector.MatchLabels)+len(selector.MatchExpressions) == 0 {
		return ""
	}
	return meta.FormatLabelSelector(&selector)
}

// trouble returns what keeps a pod from running.
func trouble(pod *core.Pod) []string {
	var why []string
	if pod.Status.Reason != "" {
		why = append(why, colon(pod.Status.Reason, pod.Status.Message))
	}
	for _, each := range pod.Status.Conditions {
		if each.Type == core.PodScheduled && each.Status == core.ConditionFalse {
			why = append(why, colon(each.Reason, each.Message))
		}
	}
	for _, each := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if state := container(pod, each); state != "" {
			why = append(why, fmt.Sprintf("container %s %s", each.Name, state))
		}
	}
	return why
}

// container returns what keeps a container from being ready, "" if nothing does or it has only just begun.
func container(pod *core.Pod, status core.ContainerStatus) string {
	waiting, ended, last := status.State.Waiting, status.State.Terminated, status.LastTerminationState.Terminated
	switch {
	case ended != nil && ended.ExitCode != 0:
		return end(pod, status, ended)
	case waiting != nil && last != nil:
		return fmt.Sprintf("is %s: it %s", waiting.Reason, end(pod, status, last))
	case waiting != nil && !slices.Contains(starting, waiting.Reason):
		return "is " + colon(waiting.Reason, waiting.Message)
	case status.State.Running != nil && !status.Ready && last != nil:
		return "runs again and is not ready: it " + end(pod, status, last)
	case status.State.Running != nil && !status.Ready && status.Started != nil && *status.Started:
		return "runs and is not ready"
	default:
		return ""
	}
}

// end returns how a container ended: with its own last words, if it left any. Its log is not repeated here, since it can
// hold what is secret.
func end(pod *core.Pod, status core.ContainerStatus, how *core.ContainerStateTerminated) string {
	told := tail(how.Message)
	if told == "" {
		previous := ""
		if status.State.Terminated != how {
			previous = "--previous "
		}
		told = fmt.Sprintf("see kubectl logs %s-n %s %s -c %s", previous, pod.Namespace, pod.Name, status.Name)
	}
	return fmt.Sprintf("ended with exit code %d (%s): %s", how.ExitCode, how.Reason, told)
}

func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-quotedLines):], "\n")
}

func colon(what, more string) string {
	return strings.Trim(what+": "+more, ": ")
}
