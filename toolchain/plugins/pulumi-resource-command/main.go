// Command pulumi-resource-command stands in for Pulumi's Command plugin. It runs commands here and over SSH by the
// same rules; what moves files is left out.
package main

import (
	"context"
	"fmt"
	"log"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/middleware/schema"

	"sealed-data-tier.example/plugins/pulumi-resource-command/local"
	"sealed-data-tier.example/plugins/pulumi-resource-command/remote"
	"sealed-data-tier.example/plugins/standin"
)

var version string // set by the linker

func provider() p.Provider {
	served := infer.Provider(infer.Options{
		Metadata: schema.Metadata{DisplayName: "Command (stand-in)"},
		Resources: []infer.InferredResource{
			infer.Resource(&local.Command{}),
			infer.Resource(&remote.Command{}),
		},
	})
	check := served.Check
	served.Check = func(ctx context.Context, req p.CheckRequest) (p.CheckResponse, error) {
		switch token := req.Urn.Type(); token {
		case "command:local:Command", "command:remote:Command":
			return check(ctx, req)
		default:
			return p.CheckResponse{}, refusal(string(token))
		}
	}
	served.Invoke = func(_ context.Context, req p.InvokeRequest) (p.InvokeResponse, error) {
		return p.InvokeResponse{}, refusal(string(req.Token))
	}
	return served
}

func refusal(token string) error {
	return fmt.Errorf("%s is not supported by this stand-in for Pulumi's Command plugin, which has "+
		"command:local:Command and command:remote:Command: use one of these, or the official plugin", token)
}

func main() {
	standin.Announce("pulumi-resource-command", version, "local.Command, remote.Command")
	if err := provider().Run(context.Background(), "command", version); err != nil {
		log.Fatal(err)
	}
}
