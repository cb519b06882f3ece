# Patroni of postgres.
[Unit]
ConditionPathExists=
After=network-online.target etcd.service
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStartPre=+/usr/local/sbin/postgres-pair prepare
ExecStart=
ExecStart=/usr/bin/patroni /etc/postgres-pair/patroni.d
ExecReload=
ExecReload=+/usr/local/sbin/postgres-pair prepare
ExecReload=/bin/kill -s HUP $MAINPID
ExecStopPost=+/bin/sh -c 'test ! -c /dev/watchdog || chown --from=postgres root /dev/watchdog'
Restart=always
RestartSec=1
# A shutdown checkpoint of a large server takes its time.
TimeoutStopSec=80
LimitNOFILE=65536
