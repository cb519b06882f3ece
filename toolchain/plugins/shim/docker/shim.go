// Package shim hands out the Terraform provider "docker", which keeps its code in an internal package. Go lets code
// below a module's own path import its internals, so this module takes such a path.
package shim

import (
	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"
	docker "github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

// NewProvider returns the provider, ready for the Terraform bridge.
func NewProvider() *schema.Provider {
	return docker.New("")()
}
