// Package shared holds what local and remote commands have in common.
package shared

import "github.com/pulumi/pulumi-go-provider/infer"

// Lifecycle says what to run when, as both kinds of commands take it.
type Lifecycle struct {
	Create   *string `pulumi:"create,optional"`
	Update   *string `pulumi:"update,optional"`
	Delete   *string `pulumi:"delete,optional"`
	Triggers *[]any  `pulumi:"triggers,optional" provider:"replaceOnChanges"`
}

// OnUpdate returns what runs when an input other than triggers has changed: update or, without one, create again.
func (l Lifecycle) OnUpdate() *string {
	if l.Update != nil {
		return l.Update
	}
	return l.Create
}

// Result holds what a command has printed, each without its last newline.
type Result struct {
	Stdout string `pulumi:"stdout"`
	Stderr string `pulumi:"stderr"`
}

// The environment variables in which a command finds the Result of the command that ran before it.
const (
	PreviousStdout = "PULUMI_COMMAND_STDOUT"
	PreviousStderr = "PULUMI_COMMAND_STDERR"
)

// Previous returns the variables with the result of the command that ran before, unless the input says no.
func (r Result) Previous(wanted *bool) map[string]string {
	variables := map[string]string{}
	if wanted != nil && !*wanted {
		return variables
	}
	if r.Stdout != "" {
		variables[PreviousStdout] = r.Stdout
	}
	if r.Stderr != "" {
		variables[PreviousStderr] = r.Stderr
	}
	return variables
}

// LoggingValues lists what the input "logging" may be. Each kind of command has an enum of its own in the schema.
func LoggingValues[T ~string]() []infer.EnumValue[T] {
	return []infer.EnumValue[T]{
		{Value: "stdout"},
		{Value: "stderr"},
		{Value: "stdoutAndStderr"},
		{Value: "none"},
	}
}
