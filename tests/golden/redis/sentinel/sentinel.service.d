[Unit]
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
# systemd is told by the server itself which process it is.
PIDFile=
ExecStartPre=+/usr/local/lib/valkey-tls/node prepare-sentinel
ExecStart=
ExecStart=/usr/bin/valkey-sentinel /var/lib/valkey-tls/sentinel.conf --supervised systemd --daemonize no
RestartSec=500ms
ReadWritePaths=
ReadWritePaths=/var/lib/valkey-tls
