package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	failure "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

const (
	manager     = "pulumi-kubernetes"
	longestName = 63
	randomness  = 8 // characters
)

func (k *kubernetes) namespace() string {
	if k.settings.namespace != "" {
		return k.settings.namespace
	}
	return "default"
}

// check names what has no name, after its resource, and puts it into the provider's namespace.
func (k *kubernetes) check(_ context.Context, req p.CheckRequest) (p.CheckResponse, error) {
	kind, err := kindOf(req.Urn.Type())
	if err != nil {
		return p.CheckResponse{}, err
	}
	given := req.Inputs.Get("metadata")
	if given.IsComputed() {
		return p.CheckResponse{Inputs: req.Inputs}, nil
	}
	metadata := property.Map{}
	if given.IsMap() {
		metadata = given.AsMap()
	}
	if _, prefixed := metadata.GetOk("generateName"); prefixed {
		reason := "is not supported by this stand-in for Pulumi's Kubernetes plugin: leave it out for a generated name, " +
			"or set metadata.name"
		return p.CheckResponse{Failures: []p.CheckFailure{{Property: "metadata.generateName", Reason: reason}}}, nil
	}
	if _, named := metadata.GetOk("name"); !named && kind.patch {
		reason := "is missing: name the object whose fields are set"
		return p.CheckResponse{Failures: []p.CheckFailure{{Property: "metadata.name", Reason: reason}}}, nil
	} else if !named {
		name, err := generated(req)
		if err != nil {
			return p.CheckResponse{}, err
		}
		metadata = annotated(metadata.Set("name", property.New(name)), autonamed)
	}
	if _, placed := metadata.GetOk("namespace"); kind.namespaced && !placed {
		metadata = metadata.Set("namespace", property.New(k.namespace()))
	}
	inputs := req.Inputs.Set("metadata", property.New(metadata).WithSecret(given.Secret()))
	return p.CheckResponse{Inputs: secretAs(inputs, property.Map{})}, nil
}

// generated returns the name that an object has already, or a new one.
func generated(req p.CheckRequest) (string, error) {
	if text(req.State, "metadata", "annotations", autonamed) == "true" {
		return text(req.State, "metadata", "name"), nil
	}
	return resource.NewUniqueName(req.RandomSeed, strings.ToLower(req.Urn.Name())+"-", randomness, longestName, nil)
}

func annotated(metadata property.Map, annotation string) property.Map {
	annotations := property.Map{}
	if given := metadata.Get("annotations"); given.IsMap() {
		annotations = given.AsMap()
	}
	return metadata.Set("annotations", property.New(annotations.Set(annotation, property.New("true"))))
}

func (k *kubernetes) create(ctx context.Context, req p.CreateRequest) (p.CreateResponse, error) {
	if req.DryRun {
		return p.CreateResponse{ID: "", Properties: req.Properties}, nil
	}
	done, err := k.apply(ctx, req.Urn, req.Properties, req.Timeout)
	if err != nil {
		return p.CreateResponse{}, err
	}
	return p.CreateResponse{ID: done.id, Properties: done.properties, PartialState: done.unready}, done.failure()
}

func (k *kubernetes) update(ctx context.Context, req p.UpdateRequest) (p.UpdateResponse, error) {
	if req.DryRun {
		return p.UpdateResponse{Properties: req.Inputs}, nil
	}
	done, err := k.apply(ctx, req.Urn, req.Inputs, req.Timeout)
	if err != nil {
		return p.UpdateResponse{}, err
	}
	return p.UpdateResponse{Properties: done.properties, PartialState: done.unready}, done.failure()
}

// applied is what an object became.
type applied struct {
	id         string
	properties property.Map
	unready    *p.InitializationFailed
}

// failure returns the error that goes with an object which exists and is not ready.
func (a applied) failure() error {
	if a.unready == nil {
		return nil
	}
	return fmt.Errorf("%s: %s", a.id, strings.Join(a.unready.Reasons, "; "))
}

// apply makes an object what its inputs say, and waits until it is ready.
func (k *kubernetes) apply(ctx context.Context, urn resource.URN, inputs property.Map, timeout float64) (applied, error) {
	wanted := object(inputs)
	where, namespace, err := k.find(urn, wanted.GetNamespace())
	if err != nil {
		return applied{}, err
	}
	wanted.SetNamespace(namespace)
	if patches(urn) {
		// Applying would make an object of nothing but these fields.
		if _, err := where.Get(ctx, wanted.GetName(), meta.GetOptions{}); failure.IsNotFound(err) {
			return applied{}, fmt.Errorf("%s: there is no %s %s to patch: make it first, or make it here", urn.Name(),
				wanted.GetKind(), identifier(wanted))
		}
	}
	options := meta.ApplyOptions{FieldManager: managerOf(urn), Force: wanted.GetAnnotations()[patchForce] == "true"}
	live, err := where.Apply(ctx, wanted.GetName(), wanted, options)
	if err != nil {
		return applied{}, refused(urn, inputs, err)
	}
	connected, err := k.connect()
	if err != nil {
		return applied{}, err
	}
	thing := awaited{objects: connected.objects, where: where, inputs: inputs}
	live, unready := thing.wait(ctx, live, limit(wanted, timeout))
	return applied{identifier(live), outputs(live, inputs), unready}, nil
}

// patches is whether a resource sets some fields of an object that somebody else made.
func patches(urn resource.URN) bool {
	kind, err := kindOf(urn.Type())
	return err == nil && kind.patch
}

// managerOf returns who owns the fields that a resource sets. Each patch has a manager of its own, so that two of them
// do not take each other's fields for left out ones.
func managerOf(urn resource.URN) string {
	if !patches(urn) {
		return manager
	}
	digest := sha256.Sum256([]byte(urn))
	return fmt.Sprintf("%s-%x", manager, digest[:randomness/2])
}

// refused returns what the API server says, without what is secret.
func refused(urn resource.URN, inputs property.Map, err error) error {
	said := redacted(err.Error(), inputs)
	if failure.IsConflict(err) {
		said += ": somebody else owns these fields; annotate the object with " + patchForce + `: "true" to take them over`
	}
	return fmt.Errorf("%s: the API server refused it: %s", urn.Name(), said)
}

func (k *kubernetes) find(urn resource.URN, namespace string) (dynamic.ResourceInterface, string, error) {
	kind, err := kindOf(urn.Type())
	if err != nil {
		return nil, "", err
	}
	connected, err := k.connect()
	if err != nil {
		return nil, "", err
	}
	return connected.of(kind, namespace, k.namespace())
}

// identifier returns what an object is called in the state: NAMESPACE/NAME, or NAME where there are no namespaces.
func identifier(object *unstructured.Unstructured) string {
	if namespace := object.GetNamespace(); namespace != "" {
		return namespace + "/" + object.GetName()
	}
	return object.GetName()
}

func (k *kubernetes) read(ctx context.Context, req p.ReadRequest) (p.ReadResponse, error) {
	namespace, name, found := strings.Cut(req.ID, "/")
	if !found {
		namespace, name = "", req.ID
	}
	where, _, err := k.find(req.Urn, namespace)
	if err != nil {
		return p.ReadResponse{}, err
	}
	live, err := where.Get(ctx, name, meta.GetOptions{})
	if failure.IsNotFound(err) {
		return p.ReadResponse{}, nil
	}
	if err != nil {
		return p.ReadResponse{}, fmt.Errorf("%s: %w", req.ID, err)
	}
	if req.Inputs.Len() == 0 {
		return p.ReadResponse{ID: identifier(live), Properties: outputs(live, property.Map{}), Inputs: imported(live)}, nil
	}
	return p.ReadResponse{ID: identifier(live), Properties: outputs(live, req.Inputs), Inputs: k.seen(req.Inputs, live)}, nil
}

// seen returns inputs as they would have to be for an object to be what it is.
func (k *kubernetes) seen(inputs property.Map, live *unstructured.Unstructured) property.Map {
	now := drifted(property.New(inputs), property.New(outputs(live, inputs))).AsMap()
	if isSecret(live) {
		if _, given := inputs.GetOk("stringData"); given {
			now = now.Set("stringData", decoded(inputs, live))
		}
	}
	return secretAs(now, inputs)
}

func (k *kubernetes) delete(ctx context.Context, req p.DeleteRequest) error {
	namespace, name, found := strings.Cut(req.ID, "/")
	if !found {
		namespace, name = "", req.ID
	}
	where, _, err := k.find(req.Urn, namespace)
	if err != nil {
		return err
	}
	if patches(req.Urn) {
		return leave(ctx, where, name, req.Urn)
	}
	foreground := meta.DeletePropagationForeground
	err = where.Delete(ctx, name, meta.DeleteOptions{PropagationPolicy: &foreground})
	if failure.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", req.ID, err)
	}
	if text(req.Properties, "metadata", "annotations", skipAwait) == "true" {
		return nil
	}
	return gone(ctx, where, name, deadline(req.Timeout))
}

// leave gives up the fields that a patch set: those that nobody else set are gone.
func leave(ctx context.Context, where dynamic.ResourceInterface, name string, urn resource.URN) error {
	live, err := where.Get(ctx, name, meta.GetOptions{})
	if failure.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	nothing := &unstructured.Unstructured{}
	nothing.SetGroupVersionKind(live.GroupVersionKind())
	nothing.SetNamespace(live.GetNamespace())
	nothing.SetName(name)
	if _, err := where.Apply(ctx, name, nothing, meta.ApplyOptions{FieldManager: managerOf(urn)}); err != nil {
		return fmt.Errorf("%s: %w", identifier(live), err)
	}
	return nil
}

func deadline(seconds float64) time.Duration {
	if seconds > 0 {
		return time.Duration(seconds * float64(time.Second))
	}
	return patience
}
