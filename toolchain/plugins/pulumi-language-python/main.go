// Command pulumi-language-python stands in for Pulumi's host for programs and policy packs in Python.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"

	"sealed-data-tier.example/plugins/standin"
)

const (
	// The script that runs programs comes with Pulumi's SDK and lies beside this binary.
	executorName = "pulumi-language-python-exec"

	engineTimeout = 5 * time.Minute
)

var version string // set by the linker

func main() {
	standin.Announce("pulumi-language-python", version, "programs and policy packs")
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(arguments []string) error {
	// A logging library of the SDK's owns the default flags.
	flags := flag.NewFlagSet("pulumi-language-python", flag.ContinueOnError)
	tracing := flags.String("tracing", "", "endpoint for traces, handed on to programs")
	showVersion := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *showVersion {
		fmt.Println(version)
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	executor := filepath.Join(filepath.Dir(self), executorName)
	if _, err := os.Stat(executor); err != nil {
		return fmt.Errorf("the script that runs programs is missing: %w", err)
	}

	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	host := newHost(executor, flags.Arg(0), *tracing)
	if host.engine != "" {
		if err := host.followEngine(interrupted, stop); err != nil {
			return err
		}
	}
	done := make(chan bool)
	context.AfterFunc(interrupted, func() { close(done) })
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Cancel: done,
		Init: func(server *grpc.Server) error {
			pulumirpc.RegisterLanguageRuntimeServer(server, host)
			return nil
		},
		Options: append(rpcutil.TracingServerInterceptorOptions(nil), grpc.ChainUnaryInterceptor(explainUnimplemented)),
	})
	if err != nil {
		return err
	}
	// The engine reads the port from the first line.
	fmt.Println(handle.Port)
	if err := <-handle.Done; err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
