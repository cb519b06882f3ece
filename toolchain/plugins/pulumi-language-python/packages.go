package main

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

//go:embed packages.py
var packagesScript string

type pythonPackage struct {
	Name    string                  `json:"name"`
	Version string                  `json:"version"`
	Plugin  plugin.PulumiPluginJSON `json:"plugin"`
}

// GetRequiredPackages tells which plugins the installed packages need. One start of Python finds them all.
func (h *host) GetRequiredPackages(ctx context.Context, req *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	python, err := python(req.GetInfo())
	if err != nil {
		return nil, err
	}
	if err := python.EnsureVenv(ctx, req.GetInfo().GetProgramDirectory(), false, true, io.Discard, io.Discard); err != nil {
		return nil, err
	}
	list, err := python.Command(ctx, "-c", packagesScript)
	if err != nil {
		return nil, err
	}
	printed, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the installed packages: %w", err)
	}
	var packages []pythonPackage
	if err := json.Unmarshal(printed, &packages); err != nil {
		return nil, fmt.Errorf("listing the installed packages: %w", err)
	}
	response := &pulumirpc.GetRequiredPackagesResponse{}
	for _, pkg := range packages {
		if pkg.Plugin.Resource {
			response.Packages = append(response.Packages, pkg.dependency())
		}
	}
	return response, nil
}

func (p pythonPackage) dependency() *pulumirpc.PackageDependency {
	return &pulumirpc.PackageDependency{
		Kind:             "resource",
		Name:             cmp.Or(p.Plugin.Name, strings.TrimPrefix(p.Name, "pulumi-")),
		Version:          "v" + strings.TrimPrefix(cmp.Or(p.Plugin.Version, p.Version), "v"),
		Server:           p.Plugin.Server,
		Parameterization: parameterization(p.Plugin.Parameterization),
		Extension:        parameterization(p.Plugin.ExtensionParameterization),
	}
}

func parameterization(p *plugin.PulumiParameterizationJSON) *pulumirpc.PackageParameterization {
	if p == nil {
		return nil
	}
	return &pulumirpc.PackageParameterization{Name: p.Name, Version: p.Version, Value: p.Value}
}
