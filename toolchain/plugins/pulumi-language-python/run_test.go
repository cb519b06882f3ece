package main

import (
	"errors"
	"os/exec"
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestConfig(t *testing.T) {
	for name, test := range map[string]struct {
		config  map[string]string
		secrets []string
		want    []string
	}{
		"none": {nil, nil, []string{"PULUMI_CONFIG_SECRET_KEYS=[]"}},
		"some": {
			map[string]string{"a:b": "c"},
			[]string{"a:b"},
			[]string{`PULUMI_CONFIG={"a:b":"c"}`, `PULUMI_CONFIG_SECRET_KEYS=["a:b"]`},
		},
	} {
		got, err := addConfig(nil, test.config, test.secrets)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestOutcome(t *testing.T) {
	exit := func(script string) error { return exec.Command("/bin/sh", "-c", script).Run() }
	for name, test := range map[string]struct {
		err  error
		want *pulumirpc.RunResponse
	}{
		"success":     {nil, &pulumirpc.RunResponse{}},
		"shown error": {exit("exit 32"), &pulumirpc.RunResponse{Bail: true}},
		"other error": {exit("exit 3"), &pulumirpc.RunResponse{Error: "program exited with non-zero exit code: 3"}},
		"signal":      {exit("kill -9 $$"), &pulumirpc.RunResponse{Error: "program exited unexpectedly: signal: killed"}},
		"not started": {errors.New("no"), &pulumirpc.RunResponse{Error: "program exited unexpectedly: no"}},
	} {
		got := outcome(test.err)
		if got.GetError() != test.want.GetError() || got.GetBail() != test.want.GetBail() {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

func TestOptionsThatAreNotSupportedAreRefused(t *testing.T) {
	for option, value := range map[string]any{"typechecker": "mypy", "toolchain": "uv", "virtualenv": 3} {
		options, err := structpb.NewStruct(map[string]any{option: value})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := python(&pulumirpc.ProgramInfo{Options: options}); err == nil {
			t.Errorf("%s: %v was not refused", option, value)
		}
	}
}

func TestPluginOfPackage(t *testing.T) {
	described := pythonPackage{
		Name: "pulumi-one", Version: "1.2.3",
		Plugin: plugin.PulumiPluginJSON{Resource: true, Name: "uno", Version: "v4.5.6", Server: "server"},
	}
	plain := pythonPackage{Name: "pulumi-two", Version: "1.2.3", Plugin: plugin.PulumiPluginJSON{Resource: true}}
	for _, test := range []struct {
		pkg                   pythonPackage
		name, version, server string
	}{{described, "uno", "v4.5.6", "server"}, {plain, "two", "v1.2.3", ""}} {
		got := test.pkg.dependency()
		if got.GetName() != test.name || got.GetVersion() != test.version || got.GetServer() != test.server {
			t.Errorf("%s: got %v", test.pkg.Name, got)
		}
	}
}
