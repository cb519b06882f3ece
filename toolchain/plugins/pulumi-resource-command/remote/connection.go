package remote

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/retry"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const (
	defaultUser           = "root"
	defaultPort           = 22
	defaultDialErrorLimit = 10
	noDialErrorLimit      = -1
	defaultPerDialTimeout = 15 // seconds
)

// endpoint is one SSH server and how to authenticate at it.
type endpoint struct {
	User               *string  `pulumi:"user,optional"`
	Password           *string  `pulumi:"password,optional" provider:"secret"`
	Host               *string  `pulumi:"host"`
	Port               *float64 `pulumi:"port,optional"`
	PrivateKey         *string  `pulumi:"privateKey,optional" provider:"secret"`
	PrivateKeyPassword *string  `pulumi:"privateKeyPassword,optional" provider:"secret"`
	AgentSocketPath    *string  `pulumi:"agentSocketPath,optional"`
	DialErrorLimit     *int     `pulumi:"dialErrorLimit,optional"`
	PerDialTimeout     *int     `pulumi:"perDialTimeout,optional"`
	HostKey            *string  `pulumi:"hostKey,optional"`
}

func (e *endpoint) setDefaults(a infer.Annotator) {
	a.SetDefault(&e.User, defaultUser)
	a.SetDefault(&e.Port, defaultPort)
	a.SetDefault(&e.DialErrorLimit, defaultDialErrorLimit)
	a.SetDefault(&e.PerDialTimeout, defaultPerDialTimeout)
}

// Connection is the host to run a command on and, if it lies behind one, its bastion.
type Connection struct {
	endpoint
	Proxy *ProxyConnection `pulumi:"proxy,optional"`
}

// Annotate tells the schema the defaults.
func (c *Connection) Annotate(a infer.Annotator) { c.setDefaults(a) }

// ProxyConnection is a bastion.
type ProxyConnection struct{ endpoint }

// Annotate tells the schema the defaults.
func (c *ProxyConnection) Annotate(a infer.Annotator) { c.setDefaults(a) }

func (e *endpoint) address() string {
	return net.JoinHostPort(*e.Host, strconv.Itoa(int(*e.Port)))
}

// config returns how to log in: with the key first, then the password, then whatever the agent holds.
func (e *endpoint) config() (*ssh.ClientConfig, error) {
	config := &ssh.ClientConfig{
		User:            *e.User,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), //nolint:gosec // what no hostKey means in the official plugin
		Timeout:         time.Duration(*e.PerDialTimeout) * time.Second,
	}
	if e.HostKey != nil {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(*e.HostKey))
		if err != nil {
			return nil, fmt.Errorf("failed to parse host key: %w", err)
		}
		config.HostKeyCallback = ssh.FixedHostKey(key)
		// Else a server with several keys might offer another one.
		config.HostKeyAlgorithms = []string{key.Type()}
	}
	if e.PrivateKey != nil {
		signer, err := e.signer()
		if err != nil {
			return nil, err
		}
		config.Auth = append(config.Auth, ssh.PublicKeys(signer))
	}
	if e.Password != nil {
		config.Auth = append(config.Auth, ssh.Password(*e.Password), ssh.KeyboardInteractive(e.answer))
	}
	socket := os.Getenv("SSH_AUTH_SOCK")
	if e.AgentSocketPath != nil {
		socket = *e.AgentSocketPath
	}
	if socket != "" || e.AgentSocketPath != nil {
		connection, err := net.Dial("unix", socket)
		if err != nil {
			return nil, err
		}
		config.Auth = append(config.Auth, ssh.PublicKeysCallback(agent.NewClient(connection).Signers))
	}
	return config, nil
}

func (e *endpoint) signer() (ssh.Signer, error) {
	if e.PrivateKeyPassword != nil {
		return ssh.ParsePrivateKeyWithPassphrase([]byte(*e.PrivateKey), []byte(*e.PrivateKeyPassword))
	}
	return ssh.ParsePrivateKey([]byte(*e.PrivateKey))
}

// answer gives the password to every question of a keyboard-interactive login.
func (e *endpoint) answer(_, _ string, questions []string, _ []bool) ([]string, error) {
	answers := make([]string, len(questions))
	for i := range answers {
		answers[i] = *e.Password
	}
	return answers, nil
}

func (e *endpoint) limit() int {
	if e.DialErrorLimit == nil {
		return defaultDialErrorLimit
	}
	return *e.DialErrorLimit
}

// dial connects to the host, through the bastion if there is one.
func (c *Connection) dial(ctx context.Context) (*ssh.Client, error) {
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	if c.Proxy == nil {
		return persist(ctx, "Dial", c.limit(), func() (*ssh.Client, error) {
			return ssh.Dial("tcp", c.address(), config)
		})
	}
	client, err := c.dialThroughProxy(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return client, nil
}

func (c *Connection) dialThroughProxy(ctx context.Context, config *ssh.ClientConfig) (*ssh.Client, error) {
	proxyConfig, err := c.Proxy.config()
	if err != nil {
		return nil, err
	}
	proxy, err := persist(ctx, "Dial proxy", c.Proxy.limit(), func() (*ssh.Client, error) {
		return ssh.Dial("tcp", c.Proxy.address(), proxyConfig)
	})
	if err != nil {
		return nil, err
	}
	tunnel, err := persist(ctx, "Dial from proxy", c.limit(), func() (net.Conn, error) {
		return proxy.Dial("tcp", c.address())
	})
	if err != nil {
		proxy.Close()
		return nil, err
	}
	// A handshake that fails closes the tunnel, so the last of several attempts reports no more than that. The
	// official plugin does the same; the number of attempts and the message follow it.
	var channels <-chan ssh.NewChannel
	var requests <-chan *ssh.Request
	connection, err := persist(ctx, "Dial", c.limit(), func() (ssh.Conn, error) {
		var connection ssh.Conn
		connection, channels, requests, err = ssh.NewClientConn(tunnel, c.address(), config)
		return connection, err
	})
	if err != nil {
		proxy.Close()
		return nil, err
	}
	go func() {
		_ = connection.Wait()
		proxy.Close()
	}()
	return ssh.NewClient(connection, channels, requests), nil
}

// persist calls attempt until it succeeds, fails more often than the limit allows, or the engine gives up. The pauses
// grow from a tenth of a second to five seconds.
func persist[T any](ctx context.Context, what string, limit int, attempt func() (T, error)) (T, error) {
	var value T
	ok, _, err := retry.Until(ctx, retry.Acceptor{
		Accept: func(failed int, _ time.Duration) (bool, any, error) {
			var failure error
			if value, failure = attempt(); failure == nil {
				return true, nil, nil
			}
			shown := "inf"
			if limit > noDialErrorLimit {
				if failed >= limit {
					return true, nil, fmt.Errorf("after %d failed attempts: %w", failed, failure)
				}
				shown = strconv.Itoa(limit)
			}
			p.GetLogger(ctx).InfoStatusf("%s %d/%s failed: retrying", what, failed+1, shown)
			return false, nil, nil
		},
	})
	if err == nil && !ok {
		err = ctx.Err()
	}
	return value, err
}
