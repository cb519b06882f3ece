package remote

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const password = "open sesame"

func ptr[T any](value T) *T { return &value }

func newKey(t *testing.T) (ed25519.PrivateKey, ssh.Signer) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, signer
}

// serve starts an SSH server that lets nobody do anything, and returns how to connect to it without logging in.
func serve(t *testing.T, config *ssh.ServerConfig) Connection {
	t.Helper()
	_, hostKey := newKey(t)
	config.AddHostKey(hostKey)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			accepted, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _, _, _ = ssh.NewServerConn(accepted, config) }()
		}
	}()
	address := listener.Addr().(*net.TCPAddr)
	return Connection{endpoint: endpoint{
		Host:           ptr("127.0.0.1"),
		Port:           ptr(float64(address.Port)),
		User:           ptr("somebody"),
		DialErrorLimit: ptr(0),
		PerDialTimeout: ptr(5),
		HostKey:        ptr(string(ssh.MarshalAuthorizedKey(hostKey.PublicKey()))),
	}}
}

func onlyKey(allowed ssh.PublicKey) *ssh.ServerConfig {
	return &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, offered ssh.PublicKey) (*ssh.Permissions, error) {
			if string(offered.Marshal()) != string(allowed.Marshal()) {
				return nil, errors.New("another key")
			}
			return nil, nil
		},
	}
}

func mustDial(t *testing.T, connection Connection) {
	t.Helper()
	client, err := connection.dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
}

func TestPassword(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	check := func(given string) (*ssh.Permissions, error) {
		if given != password {
			return nil, errors.New("another password")
		}
		return nil, nil
	}
	for name, config := range map[string]*ssh.ServerConfig{
		"password": {PasswordCallback: func(_ ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) {
			return check(string(given))
		}},
		"keyboard-interactive": {KeyboardInteractiveCallback: func(_ ssh.ConnMetadata,
			challenge ssh.KeyboardInteractiveChallenge,
		) (*ssh.Permissions, error) {
			answers, err := challenge("", "", []string{"Password:", "Again:"}, []bool{false, false})
			if err != nil || len(answers) != 2 || answers[0] != answers[1] {
				return nil, errors.New("no answers")
			}
			return check(answers[0])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			connection := serve(t, config)
			connection.Password = ptr(password)
			mustDial(t, connection)
		})
	}
}

func TestEncryptedKey(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	key, signer := newKey(t)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(password))
	if err != nil {
		t.Fatal(err)
	}
	connection := serve(t, onlyKey(signer.PublicKey()))
	connection.PrivateKey = ptr(string(pem.EncodeToMemory(block)))
	if _, err := connection.dial(context.Background()); err == nil {
		t.Error("an encrypted key was used without its password")
	}
	connection.PrivateKeyPassword = ptr(password)
	mustDial(t, connection)
}

func TestAgent(t *testing.T) {
	key, signer := newKey(t)
	keyring := agent.NewKeyring()
	if err := keyring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "agent")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			asked, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(keyring, asked) }()
		}
	}()
	connection := serve(t, onlyKey(signer.PublicKey()))

	t.Setenv("SSH_AUTH_SOCK", socket)
	mustDial(t, connection)

	t.Setenv("SSH_AUTH_SOCK", "")
	connection.AgentSocketPath = ptr(socket)
	mustDial(t, connection)
}

func TestAttempts(t *testing.T) {
	for limit, want := range map[int]int{0: 1, 1: 2, 2: 3} {
		attempts := 0
		_, err := persist(context.Background(), "Dial", limit, func() (int, error) {
			attempts++
			return 0, errors.New("down")
		})
		if attempts != want || err == nil {
			t.Errorf("limit %d: %d attempts, not %d; %v", limit, attempts, want, err)
		}
	}
}

func TestAttemptsWithoutLimitEndWithTheEngine(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	attempts := 0
	_, err := persist(ctx, "Dial", noDialErrorLimit, func() (int, error) {
		if attempts++; attempts == 3 {
			cancel()
		}
		return 0, errors.New("down")
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
