// Command pulumi-resource-docker stands in for Pulumi's Docker plugin: the same Terraform bridge over the same
// Terraform provider, for the resources that a lab needs.
package main

import (
	"context"
	"log"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/terraform-providers/terraform-provider-docker/shim"

	"sealed-data-tier.example/plugins/bridged"
	"sealed-data-tier.example/plugins/standin"
)

const (
	defaultHost   = "unix:///var/run/docker.sock"
	maxNameLength = 255
)

var version string // set by the linker

func provider() tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		P:            shimv2.NewProvider(shim.NewProvider()),
		Name:         "docker",
		Version:      version,
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
		Config: map[string]*tfbridge.SchemaInfo{
			"host": {Default: &tfbridge.DefaultInfo{
				EnvVars: []string{"DOCKER_HOST"},
				ComputeDefault: func(context.Context, tfbridge.ComputeDefaultOptions) (any, error) {
					return defaultHost, nil
				},
			}},
			"registry_auth": {Name: "registryAuth", MaxItemsOne: tfbridge.False()},
		},
		Resources: map[string]*tfbridge.ResourceInfo{
			"docker_container": {
				Tok:                 tfbridge.MakeResource("docker", "index", "Container"),
				DeleteBeforeReplace: true,
				// The bridge would name lists in the plural.
				Fields: map[string]*tfbridge.SchemaInfo{
					"command":           {Name: "command"},
					"networks_advanced": {Name: "networksAdvanced"},
				},
			},
			"docker_image":   {Tok: tfbridge.MakeResource("docker", "index", "RemoteImage")},
			"docker_network": {Tok: tfbridge.MakeResource("docker", "index", "Network")},
			"docker_volume":  {Tok: tfbridge.MakeResource("docker", "index", "Volume")},
		},
	}
	// The name of an image says which one it is: none is made up for it.
	info.Resources["docker_image"].Fields = map[string]*tfbridge.SchemaInfo{"name": {Name: "name"}}
	info.SetAutonaming(maxNameLength, "-")
	return info
}

func main() {
	standin.Announce("pulumi-resource-docker", version, "Network, Container, Volume, RemoteImage")
	info := provider()
	schema, err := bridged.Prepare(&info)
	if err != nil {
		log.Fatal(err)
	}
	tfbridge.Main("docker", version, info, schema)
}
