// Package local runs commands on the machine that the engine runs on.
package local

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"sealed-data-tier.example/plugins/pulumi-resource-command/shared"
)

// Logging says which of the command's output is shown while it runs.
type Logging string

// Values lists the values that Logging may have.
func (Logging) Values() []infer.EnumValue[Logging] { return shared.LoggingValues[Logging]() }

// Command is the resource command:local:Command.
type Command struct{}

// Inputs are what a program gives to a Command.
type Inputs struct {
	shared.Lifecycle
	Stdin                  *string            `pulumi:"stdin,optional"`
	Logging                *Logging           `pulumi:"logging,optional"`
	Interpreter            *[]string          `pulumi:"interpreter,optional"`
	Dir                    *string            `pulumi:"dir,optional"`
	Environment            *map[string]string `pulumi:"environment,optional"`
	AddPreviousOutputInEnv *bool              `pulumi:"addPreviousOutputInEnv,optional"`

	// Known so that they can be refused.
	AssetPaths   *[]string `pulumi:"assetPaths,optional"`
	ArchivePaths *[]string `pulumi:"archivePaths,optional"`
}

// State is what a Command leaves in the stack's state.
type State struct {
	Inputs
	shared.Result
}

// Check refuses the inputs that this stand-in does not implement.
func (Command) Check(ctx context.Context, req infer.CheckRequest) (infer.CheckResponse[Inputs], error) {
	inputs, failures, err := infer.DefaultCheck[Inputs](ctx, req.NewInputs)
	for _, name := range []string{"assetPaths", "archivePaths"} {
		if _, given := req.NewInputs.GetOk(name); given {
			failures = append(failures, p.CheckFailure{
				Property: name,
				Reason:   "this stand-in for the official plugin does not collect files: print them, or use the official plugin",
			})
		}
	}
	return infer.CheckResponse[Inputs]{Inputs: inputs, Failures: failures}, err
}

// Create runs the command that was given for creation, if any.
func (Command) Create(ctx context.Context, req infer.CreateRequest[Inputs]) (infer.CreateResponse[State], error) {
	created := infer.CreateResponse[State]{Output: State{Inputs: req.Inputs}}
	var err error
	if created.ID, err = resource.NewUniqueHex(req.Name, 8, 0); err != nil || req.DryRun {
		return created, err
	}
	return created, created.Output.run(ctx, req.Inputs.Create)
}

// Update runs the command that was given for updates or, without one, the one for creation.
func (Command) Update(ctx context.Context, req infer.UpdateRequest[Inputs, State],
) (infer.UpdateResponse[State], error) {
	updated := infer.UpdateResponse[State]{Output: State{Inputs: req.Inputs, Result: req.State.Result}}
	if req.DryRun {
		return updated, nil
	}
	return updated, updated.Output.run(ctx, req.Inputs.OnUpdate())
}

// Delete runs the command that was given for deletion, if any.
func (Command) Delete(ctx context.Context, req infer.DeleteRequest[State]) (infer.DeleteResponse, error) {
	return infer.DeleteResponse{}, req.State.run(ctx, req.State.Delete)
}

func (s *State) run(ctx context.Context, command *string) error {
	if command == nil {
		return nil
	}
	interpreter := []string{"/bin/sh", "-c"}
	if s.Interpreter != nil && len(*s.Interpreter) > 0 {
		interpreter = *s.Interpreter
	}
	arguments := append(slices.Clone(interpreter[1:]), *command)
	process := exec.CommandContext(ctx, interpreter[0], arguments...)
	if s.Dir != nil {
		process.Dir = *s.Dir
	}
	process.Env = os.Environ()
	if s.Environment != nil {
		process.Env = append(process.Env, assignments(*s.Environment)...)
	}
	process.Env = append(process.Env, assignments(s.Previous(s.AddPreviousOutputInEnv))...)
	if s.Stdin != nil && *s.Stdin != "" {
		process.Stdin = strings.NewReader(*s.Stdin)
	}
	output := shared.NewOutput(ctx, s.Logging)
	process.Stdout, process.Stderr = output.Stdout(), output.Stderr()
	result, err := output.Result(*command, process.Run())
	if err != nil {
		return err
	}
	s.Result = result
	return nil
}

func assignments(variables map[string]string) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		list = append(list, name+"="+variables[name])
	}
	return list
}
