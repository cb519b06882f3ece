// Package remote runs commands on other hosts, over SSH.
package remote

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"golang.org/x/crypto/ssh"

	"sealed-data-tier.example/plugins/pulumi-resource-command/shared"
)

// Logging says which of the command's output is shown while it runs.
type Logging string

// Values lists the values that Logging may have.
func (Logging) Values() []infer.EnumValue[Logging] { return shared.LoggingValues[Logging]() }

// Command is the resource command:remote:Command.
type Command struct{}

// Inputs are what a program gives to a Command.
type Inputs struct {
	shared.Lifecycle
	Stdin                  *string           `pulumi:"stdin,optional"`
	Logging                *Logging          `pulumi:"logging,optional"`
	Environment            map[string]string `pulumi:"environment,optional"`
	AddPreviousOutputInEnv *bool             `pulumi:"addPreviousOutputInEnv,optional"`
	Connection             *Connection       `pulumi:"connection" provider:"secret"`
}

// State is what a Command leaves in the stack's state.
type State struct {
	Inputs
	shared.Result
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

// Delete runs the command that was given for deletion, if any, over the connection in the stack's state.
func (Command) Delete(ctx context.Context, req infer.DeleteRequest[State]) (infer.DeleteResponse, error) {
	return infer.DeleteResponse{}, req.State.run(ctx, req.State.Delete)
}

func (s *State) run(ctx context.Context, command *string) error {
	if command == nil {
		return nil
	}
	client, err := s.Connection.dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()

	if err := s.setEnvironment(ctx, session); err != nil {
		return err
	}
	if s.Stdin != nil && *s.Stdin != "" {
		session.Stdin = strings.NewReader(*s.Stdin)
	}
	output := shared.NewOutput(ctx, s.Logging)
	session.Stdout, session.Stderr = output.Stdout(), output.Stderr()
	result, err := output.Result(*command, session.Run(*command))
	if err != nil {
		return err
	}
	s.Result = result
	return nil
}

// setEnvironment hands the variables to sshd, which takes only those that its AcceptEnv names. The command must not
// run without a variable that the program has given; the previous output is a mere offer.
func (s *State) setEnvironment(ctx context.Context, session *ssh.Session) error {
	const hint = "the SSH server takes only variables that its AcceptEnv names; " +
		"a shell also takes them in front of the command, as VAR=value command"
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		if err := session.Setenv(name, s.Environment[name]); err != nil {
			p.GetLogger(ctx).Errorf("Unable to set '%s': %s", name, hint)
			return fmt.Errorf("could not set environment variable %q: %w", name, err)
		}
	}
	previous := s.Previous(s.AddPreviousOutputInEnv)
	for _, name := range slices.Sorted(maps.Keys(previous)) {
		if err := session.Setenv(name, previous[name]); err != nil {
			p.GetLogger(ctx).Warningf("Unable to set '%s': %s", name, hint)
		}
	}
	return nil
}
