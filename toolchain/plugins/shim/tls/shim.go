// Package shim hands out the Terraform provider "tls", which keeps its code in an internal package. Go lets code
// below a module's own path import its internals, so this module takes such a path.
package shim

import (
	"github.com/hashicorp/terraform-plugin-framework/provider"
	tls "github.com/hashicorp/terraform-provider-tls/internal/provider"
)

// NewProvider returns the provider, ready for the Terraform bridge.
func NewProvider() provider.Provider {
	return tls.New()
}
