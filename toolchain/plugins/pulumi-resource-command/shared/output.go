package shared

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	p "github.com/pulumi/pulumi-go-provider"
)

// Output collects what one run of a command prints, and shows it line by line while it runs.
type Output struct {
	mu             sync.Mutex
	stdout, stderr bytes.Buffer
	both           bytes.Buffer // in the order in which it came, for error messages
	shown          bytes.Buffer // the start of a line that is not complete yet
	show           func(line string)
	showing        string
}

// NewOutput returns an empty Output. The input "logging" says what is shown: everything unless it is set.
func NewOutput[T ~string](ctx context.Context, logging *T) *Output {
	output := &Output{show: p.GetLogger(ctx).InfoStatus, showing: "stdoutAndStderr"}
	if logging != nil {
		output.showing = string(*logging)
	}
	return output
}

// Stdout returns the writer for the command's standard output.
func (o *Output) Stdout() io.Writer {
	return stream{o, &o.stdout, o.showing == "stdout" || o.showing == "stdoutAndStderr"}
}

// Stderr returns the writer for the command's standard error.
func (o *Output) Stderr() io.Writer {
	return stream{o, &o.stderr, o.showing == "stderr" || o.showing == "stdoutAndStderr"}
}

// Result returns what was printed or, if the command failed, an error that tells the command and all its output.
func (o *Output) Result(command string, failure error) (Result, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.shown.Len() > 0 {
		o.show(o.shown.String())
	}
	if failure != nil {
		return Result{}, fmt.Errorf("%w: running %q:\n%s", failure, command, o.both.String())
	}
	return Result{
		Stdout: strings.TrimSuffix(o.stdout.String(), "\n"),
		Stderr: strings.TrimSuffix(o.stderr.String(), "\n"),
	}, nil
}

// stream is one of the two ways into an Output. The two are written to at the same time.
type stream struct {
	output *Output
	own    *bytes.Buffer
	shown  bool
}

func (s stream) Write(data []byte) (int, error) {
	s.output.mu.Lock()
	defer s.output.mu.Unlock()
	s.own.Write(data)
	s.output.both.Write(data)
	if s.shown {
		s.output.showLines(data)
	}
	return len(data), nil
}

func (o *Output) showLines(data []byte) {
	for {
		line, rest, complete := bytes.Cut(data, []byte("\n"))
		o.shown.Write(line)
		if !complete {
			return
		}
		o.show(strings.TrimSuffix(o.shown.String(), "\r"))
		o.shown.Reset()
		data = rest
	}
}
