// Command pulumi-resource-tls stands in for Pulumi's TLS plugin: the same Terraform bridge over Terraform's own
// provider, in the newest version of it that can be had as a Go module.
package main

import (
	"context"
	"log"

	"github.com/hashicorp/terraform-provider-tls/shim"
	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"

	"sealed-data-tier.example/plugins/bridged"
	"sealed-data-tier.example/plugins/standin"
)

var version string // set by the linker

func provider() tfbridge.ProviderInfo {
	return tfbridge.ProviderInfo{
		P:            pf.ShimProvider(shim.NewProvider()),
		Name:         "tls",
		Version:      version,
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
		Resources: map[string]*tfbridge.ResourceInfo{
			"tls_private_key":         {Tok: tfbridge.MakeResource("tls", "index", "PrivateKey")},
			"tls_cert_request":        {Tok: tfbridge.MakeResource("tls", "index", "CertRequest")},
			"tls_self_signed_cert":    {Tok: tfbridge.MakeResource("tls", "index", "SelfSignedCert")},
			"tls_locally_signed_cert": {Tok: tfbridge.MakeResource("tls", "index", "LocallySignedCert")},
		},
		// As the official plugin has them.
		EnableZeroDefaultSchemaVersion: true,
		EnableAccurateBridgePreview:    true,
	}
}

func main() {
	standin.Announce("pulumi-resource-tls", version, "PrivateKey, CertRequest, SelfSignedCert, LocallySignedCert")
	info := provider()
	schema, err := bridged.Prepare(&info)
	if err != nil {
		log.Fatal(err)
	}
	pf.Main(context.Background(), "tls", info, pf.ProviderMetadata{PackageSchema: schema})
}
