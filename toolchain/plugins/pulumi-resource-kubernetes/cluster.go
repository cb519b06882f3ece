package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
)

// kubernetes is the plugin with one configuration.
type kubernetes struct {
	settings settings
	connect  func() (*cluster, error)
}

type settings struct {
	kubeconfig       string
	context          string
	namespace        string
	configMapMutable bool
	secretMutable    bool
}

// cluster is a connection to one.
type cluster struct {
	objects dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

// Settings of a provider that this stand-in knows, and those it can do without, which may only have one value.
var (
	known = []string{"kubeconfig", "context", "namespace", "enableConfigMapMutable", "enableSecretMutable", "version"}
	only  = map[string]bool{"enableServerSideApply": true, "deleteUnreachable": false, "enablePatchForce": false,
		"skipUpdateUnreachable": false, "suppressDeprecationWarnings": true, "suppressHelmHookWarnings": true,
		"upsertExistingObjects": true}
)

func (k *kubernetes) checkConfig(_ context.Context, req p.CheckRequest) (p.CheckResponse, error) {
	var failures []p.CheckFailure
	for key, value := range req.Inputs.AllStable {
		if slices.Contains(known, key) || value.IsComputed() {
			continue
		}
		wanted, switched := only[key]
		if !switched {
			failures = append(failures, p.CheckFailure{Property: key, Reason: "is not supported by this stand-in for " +
				"Pulumi's Kubernetes plugin: leave it out, or use the official plugin"})
		} else if truth(value) != wanted {
			failures = append(failures, p.CheckFailure{Property: key, Reason: fmt.Sprintf(
				"has to be %t with this stand-in for Pulumi's Kubernetes plugin: leave it out, or use the official one", wanted)})
		}
	}
	return p.CheckResponse{Inputs: req.Inputs, Failures: failures}, nil
}

// truth returns a truth value, which SDKs send as text.
func truth(value property.Value) bool {
	return value.IsBool() && value.AsBool() || value.IsString() && value.AsString() == "true"
}

// diffConfig replaces a provider, and with it everything that it made, when its cluster is another one. One that is
// reached in another way, or by somebody else, is the same.
func (k *kubernetes) diffConfig(_ context.Context, req p.DiffRequest) (p.DiffResponse, error) {
	old := req.OldInputs
	if property.New(old).Equals(property.New(req.Inputs)) {
		return p.DiffResponse{}, nil
	}
	response := p.DiffResponse{HasChanges: true, DetailedDiff: map[string]p.PropertyDiff{}}
	for _, key := range known {
		if !old.Get(key).Equals(req.Inputs.Get(key)) {
			response.DetailedDiff[key] = p.PropertyDiff{Kind: p.Update, InputDiff: true}
		}
	}
	before, after := server(settingsOf(old)), server(settingsOf(req.Inputs))
	if before != "" && after != "" && before != after {
		response.DetailedDiff["kubeconfig"] = p.PropertyDiff{Kind: p.UpdateReplace, InputDiff: true}
	}
	return response, nil
}

func (k *kubernetes) configure(_ context.Context, req p.ConfigureRequest) error {
	k.settings = settingsOf(req.Args)
	// Nobody is asked before something has to be: previews work where there is no cluster yet.
	k.connect = sync.OnceValues(k.settings.connect)
	return nil
}

func settingsOf(args property.Map) settings {
	return settings{
		kubeconfig:       text(args, "kubeconfig"),
		context:          text(args, "context"),
		namespace:        text(args, "namespace"),
		configMapMutable: truth(args.Get("enableConfigMapMutable")),
		secretMutable:    truth(args.Get("enableSecretMutable")),
	}
}

// client returns how the settings say that a cluster is reached: by the content of a kubeconfig, by the name of such a
// file, or as kubectl does.
func (s settings) client() (clientcmd.ClientConfig, error) {
	overrides := &clientcmd.ConfigOverrides{CurrentContext: s.context}
	if strings.Contains(s.kubeconfig, "\n") || strings.HasPrefix(strings.TrimSpace(s.kubeconfig), "{") {
		config, err := clientcmd.Load([]byte(s.kubeconfig))
		if err != nil {
			// The error could quote what is secret.
			return nil, errors.New("kubeconfig: this is no kubeconfig: give the content of one, or the path of such a file")
		}
		return clientcmd.NewDefaultClientConfig(*config, overrides), nil
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if s.kubeconfig != "" {
		if _, err := os.Stat(s.kubeconfig); err != nil {
			return nil, fmt.Errorf("kubeconfig: %w: give the content of one, or the path of such a file", err)
		}
		rules.ExplicitPath = s.kubeconfig
	}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides), nil
}

// server returns the URL of the API server, or "" if that is not known yet.
func server(s settings) string {
	if s.kubeconfig == "" {
		return ""
	}
	client, err := s.client()
	if err != nil {
		return ""
	}
	config, err := client.ClientConfig()
	if err != nil {
		return ""
	}
	return config.Host
}

func (s settings) connect() (*cluster, error) {
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	config, err := client.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: no cluster can be reached by it: %w", err)
	}
	config.QPS, config.Burst = 50, 100
	config.UserAgent = "pulumi-resource-kubernetes stand-in/" + version
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	asked, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	return &cluster{objects, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(asked))}, nil
}

// of returns where the objects of a kind are, and in which namespace an object of it is.
func (c *cluster) of(kind kind, namespace, otherwise string) (dynamic.ResourceInterface, string, error) {
	mapping, err := c.mapper.RESTMapping(kind.gvk.GroupKind(), kind.gvk.Version)
	if meta.IsNoMatchError(err) {
		c.mapper.Reset() // its definition may be new
		mapping, err = c.mapper.RESTMapping(kind.gvk.GroupKind(), kind.gvk.Version)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", kind, err)
	}
	resources := c.objects.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return resources, "", nil
	}
	if namespace == "" {
		namespace = otherwise
	}
	return resources.Namespace(namespace), namespace, nil
}
