[Unit]
# It never gives up, however often it fails.
StartLimitIntervalSec=0

[Service]
# --dont-respawn: when the process that speaks VRRP dies, so does the service, and every death leads by ExecStopPost.
ExecStart=
ExecStart=/usr/sbin/keepalived --dont-fork --vrrp --dont-respawn $DAEMON_ARGS
# Whoever died could not put the addresses down. systemd runs neither line while any process of the service lives.
ExecStartPre=/usr/local/lib/keepalived-vip/vip prepare nonlocal
ExecStopPost=/usr/local/lib/keepalived-vip/vip release
Restart=always
RestartSec=200ms
RuntimeDirectory=keepalived
# keepalived writes its state there, always under the same name.
PrivateTmp=yes
