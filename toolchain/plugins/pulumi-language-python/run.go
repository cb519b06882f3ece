package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/pulumi/pulumi/sdk/v3"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

const (
	// The exit code of a program whose error has been shown already.
	errorWasShown = 32

	// How long a program may clean up once it was interrupted.
	interruptGrace = 5 * time.Second
)

// Run runs a program and waits for its end.
func (h *host) Run(ctx context.Context, req *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	if req.GetAttachDebugger() {
		return nil, errOnlyPrograms
	}
	python, err := python(req.GetInfo())
	if err != nil {
		return nil, err
	}
	if err := python.ValidateVenv(ctx); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(h.running, stop)()
	program, err := python.Command(ctx, h.arguments(req)...)
	if err != nil {
		return nil, err
	}
	program.Cancel = func() error { return program.Process.Signal(os.Interrupt) }
	program.WaitDelay = interruptGrace
	program.Stdout, program.Stderr = os.Stdout, os.Stderr
	program.Env = program.Environ()
	if program.Env, err = addConfig(program.Env, req.GetConfig(), req.GetConfigSecretKeys()); err != nil {
		return nil, err
	}
	return outcome(program.Run()), nil
}

// arguments are those of the script that runs programs.
func (h *host) arguments(req *pulumirpc.RunRequest) []string {
	arguments := []string{h.executor}
	for _, option := range [][2]string{
		{"--monitor", req.GetMonitorAddress()},
		{"--engine", h.engine},
		{"--project", req.GetProject()},
		{"--root_directory", req.GetInfo().GetRootDirectory()},
		{"--stack", req.GetStack()},
		{"--pwd", req.GetPwd()},
		{"--dry_run", strconv.FormatBool(req.GetDryRun())},
		{"--parallel", strconv.Itoa(int(req.GetParallel()))},
		{"--tracing", h.tracing},
		{"--organization", req.GetOrganization()},
	} {
		if option[1] != "" {
			arguments = append(arguments, option[:]...)
		}
	}
	arguments = append(arguments, req.GetInfo().GetEntryPoint())
	return append(arguments, req.GetArgs()...)
}

// addConfig hands over the stack's configuration. The SDK takes no configuration for an empty one, but not null.
func addConfig(environment []string, config map[string]string, secretKeys []string) ([]string, error) {
	if config != nil {
		values, err := json.Marshal(config)
		if err != nil {
			return nil, err
		}
		environment = append(environment, "PULUMI_CONFIG="+string(values))
	}
	if secretKeys == nil {
		secretKeys = []string{}
	}
	keys, err := json.Marshal(secretKeys)
	if err != nil {
		return nil, err
	}
	return append(environment, "PULUMI_CONFIG_SECRET_KEYS="+string(keys)), nil
}

// outcome tells the engine how the program ended.
func outcome(err error) *pulumirpc.RunResponse {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return &pulumirpc.RunResponse{}
	case errors.As(err, &exit) && exit.ExitCode() == errorWasShown:
		return &pulumirpc.RunResponse{Bail: true}
	case errors.As(err, &exit) && exit.Exited():
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("program exited with non-zero exit code: %d", exit.ExitCode())}
	default:
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("program exited unexpectedly: %v", err)}
	}
}

// RunPlugin runs a policy pack until the engine has done with it.
//
// The SDK's policy library wants to know the stack when it starts, while the engine tells the stack to a pack that is
// running. The SDK's proxy stands between the two.
func (h *host) RunPlugin(req *pulumirpc.RunPluginRequest, server pulumirpc.LanguageRuntime_RunPluginServer) error {
	if req.GetKind() != string(apitype.AnalyzerPlugin) || req.GetAttachDebugger() {
		return errOnlyPrograms
	}
	ctx := server.Context()
	directory := req.GetInfo().GetProgramDirectory()
	python, err := python(req.GetInfo())
	if err != nil {
		return err
	}
	if err := python.ValidateVenv(ctx); err != nil {
		return err
	}
	arguments := append([]string{"-u", "-m", "pulumi.policy"}, req.GetArgs()...)
	pack, err := python.Command(ctx, append(arguments, directory)...)
	if err != nil {
		return err
	}
	streams, stdout, stderr, err := rpcutil.MakeRunPluginStreams(server, false)
	if err != nil {
		return err
	}
	defer streams.Close()
	proxy, stdout, err := sdk.NewPolicyProxy(ctx, stdout)
	if err != nil {
		return fmt.Errorf("starting the policy pack's proxy: %w", err)
	}
	stack, err := proxy.AwaitConfiguration(ctx)
	if err != nil {
		return fmt.Errorf("waiting for the stack's configuration: %w", err)
	}
	pack.Dir = directory
	pack.Stdout, pack.Stderr = stdout, stderr
	pack.Env = pack.Environ()
	if pack.Env, err = addStack(pack.Env, stack); err != nil {
		return err
	}
	pack.Env = append(pack.Env, req.GetEnv()...)
	if err := pack.Start(); err != nil {
		return err
	}
	if err := proxy.Attach(ctx, pack); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return server.Send(&pulumirpc.RunPluginResponse{
				Output: &pulumirpc.RunPluginResponse_Exitcode{Exitcode: int32(exit.ExitCode())},
			})
		}
		return fmt.Errorf("running the policy pack: %w", err)
	}
	return streams.Close()
}

func addStack(environment []string, stack *pulumirpc.AnalyzerStackConfigureRequest) ([]string, error) {
	if stack == nil {
		return environment, nil
	}
	environment = append(environment,
		"PULUMI_ORGANIZATION="+stack.GetOrganization(),
		"PULUMI_PROJECT="+stack.GetProject(),
		"PULUMI_STACK="+stack.GetStack(),
		"PULUMI_DRY_RUN="+strconv.FormatBool(stack.GetDryRun()),
	)
	return addConfig(environment, stack.GetConfig(), nil)
}
