package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kind is what has to be known of a kind before a cluster can be asked.
type kind struct {
	gvk schema.GroupVersionKind
	// namespaced is whether its objects are in a namespace; of custom resources only the cluster knows.
	namespaced bool
	// patch is whether a resource sets some fields of an object that somebody else made.
	patch bool
	// replaced are the properties whose change makes another object, as paths; below a path, everything counts.
	replaced []string
}

var kinds = []kind{
	{gvk: gvk("", "v1", "Namespace")},
	{gvk: gvk("", "v1", "Secret"), namespaced: true, replaced: []string{"type", "data", "stringData"}},
	{gvk: gvk("", "v1", "ConfigMap"), namespaced: true, replaced: []string{"data", "binaryData"}},
	{gvk: gvk("", "v1", "Service"), namespaced: true, replaced: []string{"spec.clusterIP"}},
	{gvk: gvk("", "v1", "ServiceAccount"), namespaced: true},
	// Of a pod that exists little can be changed: its containers' images, and what only adds to it.
	{gvk: gvk("", "v1", "Pod"), namespaced: true, replaced: []string{"spec"}},
	{gvk: gvk("", "v1", "PersistentVolumeClaim"), namespaced: true, replaced: []string{
		"spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName",
	}},
	{gvk: gvk("apps", "v1", "Deployment"), namespaced: true, replaced: []string{"spec.selector"}},
	{gvk: gvk("apps", "v1", "StatefulSet"), namespaced: true, replaced: []string{
		"spec.podManagementPolicy", "spec.revisionHistoryLimit", "spec.selector", "spec.serviceName",
		"spec.volumeClaimTemplates",
	}},
	{gvk: gvk("batch", "v1", "Job"), namespaced: true, replaced: []string{
		"spec.completions", "spec.parallelism", "spec.selector", "spec.template",
	}},
	{gvk: gvk("networking.k8s.io", "v1", "NetworkPolicy"), namespaced: true},
	{gvk: gvk("policy", "v1", "PodDisruptionBudget"), namespaced: true},
	{gvk: gvk("rbac.authorization.k8s.io", "v1", "Role"), namespaced: true},
	{gvk: gvk("rbac.authorization.k8s.io", "v1", "RoleBinding"), namespaced: true, replaced: []string{"roleRef"}},
	{gvk: gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition")},
}

// rendering are the modules of the official plugin whose resources are no objects of a cluster.
var rendering = []string{"helm.sh", "kustomize", "yaml"}

func gvk(group, version, kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: group, Version: version, Kind: kind}
}

func supported() string {
	names := make([]string, 0, len(kinds))
	for _, each := range kinds {
		names = append(names, each.gvk.Kind)
	}
	slices.Sort(names)
	return strings.Join(names, ", ") + " and custom resources"
}

// patchSuffix is what the SDKs put behind a kind of which only some fields are set.
const patchSuffix = "Patch"

// kindOf returns what is known of the kind that a resource's type names: kubernetes:GROUP/VERSION:KIND, where the group
// of the first objects of all is called core.
func kindOf(token tokens.Type) (kind, error) {
	_, rest, _ := strings.Cut(string(token), ":")
	module, name, _ := strings.Cut(rest, ":")
	group, version, found := strings.Cut(module, "/")
	if !found {
		group, version = "", module
	}
	if group == "core" {
		group = ""
	}
	wanted := gvk(group, version, name)
	for _, each := range kinds {
		if each.gvk == wanted {
			return each, nil
		}
	}
	// A custom resource has a group of somebody's domain; those under k8s.io are Kubernetes' own.
	own := !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io") || slices.Contains(rendering, group)
	if own {
		return kind{}, refusal(string(token))
	}
	name, patch := strings.CutSuffix(name, patchSuffix)
	return kind{gvk: gvk(group, version, name), patch: patch}, nil
}

func (k kind) String() string {
	if k.gvk.Group == "" {
		return fmt.Sprintf("%s %s", k.gvk.Version, k.gvk.Kind)
	}
	return fmt.Sprintf("%s/%s %s", k.gvk.Group, k.gvk.Version, k.gvk.Kind)
}
