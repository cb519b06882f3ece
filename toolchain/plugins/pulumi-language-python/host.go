package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// host answers the engine. What it does not implement is refused.
type host struct {
	pulumirpc.UnimplementedLanguageRuntimeServer

	executor string
	engine   string // the address at which the engine listens
	tracing  string

	// Ends when the engine wants running programs to stop.
	running context.Context
	stop    context.CancelFunc
}

func newHost(executor, engine, tracing string) *host {
	running, stop := context.WithCancel(context.Background())
	return &host{executor: executor, engine: engine, tracing: tracing, running: running, stop: stop}
}

// followEngine calls stop once the engine is gone.
func (h *host) followEngine(ctx context.Context, stop context.CancelFunc) error {
	return rpcutil.Healthcheck(ctx, h.engine, engineTimeout, stop)
}

func (h *host) Handshake(_ context.Context, req *pulumirpc.LanguageHandshakeRequest,
) (*pulumirpc.LanguageHandshakeResponse, error) {
	h.engine = req.GetEngineAddress()
	return &pulumirpc.LanguageHandshakeResponse{}, h.followEngine(context.Background(), h.stop)
}

func (h *host) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	h.stop()
	return &emptypb.Empty{}, nil
}

func (h *host) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: version}, nil
}

// RuntimeOptionsPrompts has nothing to ask.
func (h *host) RuntimeOptionsPrompts(context.Context, *pulumirpc.RuntimeOptionsRequest,
) (*pulumirpc.RuntimeOptionsResponse, error) {
	return &pulumirpc.RuntimeOptionsResponse{}, nil
}

func (h *host) About(ctx context.Context, req *pulumirpc.AboutRequest) (*pulumirpc.AboutResponse, error) {
	python, err := python(req.GetInfo())
	if err != nil {
		return nil, err
	}
	about, err := python.About(ctx)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.AboutResponse{
		Executable: about.PythonExecutable,
		Version:    about.PythonVersion.String(),
		Metadata: map[string]string{
			"toolchain":        "Pip",
			"toolchainVersion": about.ToolchainVersion.String(),
			"typechecker":      "None",
		},
	}, nil
}

func (h *host) GetProgramDependencies(ctx context.Context, req *pulumirpc.GetProgramDependenciesRequest,
) (*pulumirpc.GetProgramDependenciesResponse, error) {
	python, err := python(req.GetInfo())
	if err != nil {
		return nil, err
	}
	packages, err := python.ListPackages(ctx, req.GetTransitiveDependencies())
	if err != nil {
		return nil, err
	}
	response := &pulumirpc.GetProgramDependenciesResponse{}
	for _, pkg := range packages {
		response.Dependencies = append(response.Dependencies,
			&pulumirpc.DependencyInfo{Name: pkg.Name, Version: pkg.Version})
	}
	return response, nil
}

func (h *host) InstallDependencies(req *pulumirpc.InstallDependenciesRequest,
	server pulumirpc.LanguageRuntime_InstallDependenciesServer,
) error {
	if req.GetIsPlugin() {
		return errOnlyPrograms
	}
	python, err := python(req.GetInfo())
	if err != nil {
		return err
	}
	streams, stdout, stderr, err := rpcutil.MakeInstallDependenciesStreams(server, req.GetIsTerminal())
	if err != nil {
		return err
	}
	defer streams.Close()
	fmt.Fprint(stdout, "Installing dependencies...\n\n")
	if err := python.InstallDependencies(server.Context(), req.GetInfo().GetProgramDirectory(),
		req.GetUseLanguageVersionTools(), true, stdout, stderr); err != nil {
		return err
	}
	fmt.Fprint(stdout, "Finished installing dependencies\n\n")
	return streams.Close()
}

// python returns the Python that the project's options name: a virtual environment, or the PATH's without one.
func python(info *pulumirpc.ProgramInfo) (toolchain.Toolchain, error) {
	options := toolchain.PythonOptions{
		Root:       info.GetRootDirectory(),
		ProgramDir: info.GetProgramDirectory(),
		Toolchain:  toolchain.Pip,
	}
	for name, value := range info.GetOptions().AsMap() {
		switch {
		case name == "virtualenv":
			virtualenv, ok := value.(string)
			if !ok {
				return nil, fmt.Errorf("option virtualenv must be a string, not %v", value)
			}
			options.Virtualenv = virtualenv
		case name == "toolchain" && value == "pip":
		case slices.Contains([]string{"toolchain", "typechecker"}, name):
			return nil, fmt.Errorf("option %s: %v is not supported by this stand-in for Pulumi's Python host: "+
				"leave it out, or use the official host", name, value)
		}
	}
	return toolchain.ResolveToolchain(options)
}

var errOnlyPrograms = status.Error(codes.Unimplemented,
	"this stand-in for Pulumi's Python host runs programs and policy packs: for the rest use the official host")

// explainUnimplemented says in a refusal what this host is.
func explainUnimplemented(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	response, err := handler(ctx, req)
	if status.Code(err) == codes.Unimplemented {
		err = errOnlyPrograms
	}
	return response, err
}
