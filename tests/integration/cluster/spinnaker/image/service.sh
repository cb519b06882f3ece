#!/bin/sh
# Starts the service as the scripts of Spinnaker's images do: the options in JAVA_OPTS, whatever they are, and the program.
# shellcheck disable=SC2086
exec java ${JAVA_OPTS-} -cp "/jedis/$JEDIS:/jedis/$JEDIS/*" Service "$@"
