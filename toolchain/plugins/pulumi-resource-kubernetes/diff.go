package main

import (
	"context"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// identity is what makes an object that object.
var identity = []string{"metadata.name", "metadata.namespace"}

// diff compares inputs with inputs, so that it needs no cluster.
func (k *kubernetes) diff(_ context.Context, req p.DiffRequest) (p.DiffResponse, error) {
	kind, err := kindOf(req.Urn.Type())
	if err != nil {
		return p.DiffResponse{}, err
	}
	old, wanted := resource.ToResourcePropertyMap(req.OldInputs), resource.ToResourcePropertyMap(req.Inputs)
	changes := plugin.NewDetailedDiffFromObjectDiff(old.DiffIncludeUnknowns(wanted, internally), true)
	response := p.DiffResponse{HasChanges: len(changes) > 0, DetailedDiff: map[string]p.PropertyDiff{}}
	replaced := append(identity, k.replacing(kind, req.OldInputs)...)
	replaces := false
	for path, change := range changes {
		kept := change.Kind
		if below(path, replaced) {
			kept, replaces = kept.AsReplace(), true
		}
		response.DetailedDiff[path] = p.PropertyDiff{Kind: changed[kept], InputDiff: true}
	}
	// Two objects of one name and namespace cannot be; one that was named here gets another name.
	same := text(req.OldInputs, "metadata", "name") == text(req.Inputs, "metadata", "name") &&
		text(req.OldInputs, "metadata", "namespace") == text(req.Inputs, "metadata", "namespace")
	named := text(req.Inputs, "metadata", "annotations", autonamed) != "true"
	response.DeleteBeforeReplace = replaces && same && named
	return response, nil
}

var changed = map[plugin.DiffKind]p.DiffKind{
	plugin.DiffAdd: p.Add, plugin.DiffAddReplace: p.AddReplace,
	plugin.DiffDelete: p.Delete, plugin.DiffDeleteReplace: p.DeleteReplace,
	plugin.DiffUpdate: p.Update, plugin.DiffUpdateReplace: p.UpdateReplace,
}

func internally(key resource.PropertyKey) bool {
	return internal(string(key))
}

// replacing returns the paths whose change makes another object of a kind.
func (k *kubernetes) replacing(kind kind, old property.Map) []string {
	immutable := truth(old.Get("immutable"))
	switch {
	case immutable:
		return append([]string{"immutable"}, kind.replaced...)
	case kind.gvk.Kind == "ConfigMap" && k.settings.configMapMutable:
		return nil
	case kind.gvk.Kind == "Secret" && k.settings.secretMutable:
		return []string{"type"}
	default:
		return kind.replaced
	}
}

// below is whether a path is one of others or leads below one.
func below(path string, others []string) bool {
	for _, other := range others {
		if path == other || strings.HasPrefix(path, other+".") || strings.HasPrefix(path, other+"[") {
			return true
		}
	}
	// What holds them may be new, or gone, as a whole.
	for _, other := range others {
		if strings.HasPrefix(other, path+".") {
			return true
		}
	}
	return false
}
