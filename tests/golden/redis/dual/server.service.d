[Unit]
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
# systemd is told by the server itself which process it is.
PIDFile=
# "+": as root and outside the sandbox, which lets the server write its data and execute nothing.
ExecStartPre=+/usr/local/lib/redis-tls/node prepare
ExecStart=
ExecStart=/usr/bin/redis-server /var/lib/redis-tls/redis.conf --supervised systemd --daemonize no
ExecStartPost=+/usr/local/lib/redis-tls/node concede
ExecStartPost=+/usr/local/lib/redis-tls/node reload
ExecReload=+/usr/local/lib/redis-tls/node reload
ExecStop=+/usr/local/lib/redis-tls/node hand-over
RestartSec=500ms
TimeoutStartSec=120
TimeoutStopSec=60
ReadWritePaths=
ReadWritePaths=/var/lib/redis-tls
