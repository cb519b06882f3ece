package shared

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func newTestOutput(showing string) (*Output, *[]string) {
	var shown []string
	return &Output{showing: showing, show: func(line string) { shown = append(shown, line) }}, &shown
}

func TestResultHasOneNewlineLess(t *testing.T) {
	output, _ := newTestOutput("none")
	fmt.Fprint(output.Stdout(), "a\n\n")
	fmt.Fprint(output.Stderr(), "b")
	result, err := output.Result("command", nil)
	if err != nil || result != (Result{Stdout: "a\n", Stderr: "b"}) {
		t.Errorf("got %q, %v", result, err)
	}
}

func TestFailureTellsCommandAndOutput(t *testing.T) {
	output, _ := newTestOutput("none")
	fmt.Fprint(output.Stdout(), "one\n")
	fmt.Fprint(output.Stderr(), "two\n")
	fmt.Fprint(output.Stdout(), "three")
	failure := errors.New("exit status 3")
	result, err := output.Result(`say "x"`, failure)
	if want := "exit status 3: running \"say \\\"x\\\"\":\none\ntwo\nthree"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if !errors.Is(err, failure) || result != (Result{}) {
		t.Errorf("got %v, %v", result, err)
	}
}

func TestWholeLinesAreShown(t *testing.T) {
	long := strings.Repeat("x", 1<<17)
	for showing, want := range map[string][]string{
		"stdout":          {"out 1", "out 2", long},
		"stderr":          {"err"},
		"stdoutAndStderr": {"out 1", "err", "out 2", long},
		"none":            nil,
	} {
		output, shown := newTestOutput(showing)
		fmt.Fprint(output.Stdout(), "out")
		fmt.Fprint(output.Stdout(), " 1\r\n")
		fmt.Fprint(output.Stderr(), "err\n")
		fmt.Fprint(output.Stdout(), "out 2\n"+long)
		if _, err := output.Result("", nil); err != nil {
			t.Error(err)
		}
		if !slices.Equal(*shown, want) {
			t.Errorf("%s: %d lines were shown, not %d", showing, len(*shown), len(want))
		}
	}
}
