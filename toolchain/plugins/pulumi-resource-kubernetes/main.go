// Command pulumi-resource-kubernetes stands in for Pulumi's Kubernetes plugin. It applies objects from the server's side,
// by the same rules: names, replacements, waits, what is secret. What renders charts and manifests is left out.
package main

import (
	"context"
	"fmt"
	"log"

	p "github.com/pulumi/pulumi-go-provider"

	"sealed-data-tier.example/plugins/standin"
)

var version string // set by the linker

func main() {
	standin.Announce("pulumi-resource-kubernetes", version, supported())
	k := &kubernetes{}
	provider := p.Provider{
		GetSchema:   k.schema,
		CheckConfig: k.checkConfig,
		DiffConfig:  k.diffConfig,
		Configure:   k.configure,
		Check:       k.check,
		Diff:        k.diff,
		Create:      k.create,
		Read:        k.read,
		Update:      k.update,
		Delete:      k.delete,
		Invoke: func(_ context.Context, req p.InvokeRequest) (p.InvokeResponse, error) {
			return p.InvokeResponse{}, refusal(string(req.Token))
		},
		Construct: func(_ context.Context, req p.ConstructRequest) (p.ConstructResponse, error) {
			return p.ConstructResponse{}, refusal(string(req.Urn.Type()))
		},
	}
	if err := provider.Run(context.Background(), "kubernetes", version); err != nil {
		log.Fatal(err)
	}
}

func (k *kubernetes) schema(context.Context, p.GetSchemaRequest) (p.GetSchemaResponse, error) {
	return p.GetSchemaResponse{Schema: fmt.Sprintf(`{"name": "kubernetes", "version": %q}`, version)}, nil
}

func refusal(what string) error {
	return fmt.Errorf("%s is not supported by this stand-in for Pulumi's Kubernetes plugin, which has %s: "+
		"use one of these, or the official plugin", what, supported())
}
