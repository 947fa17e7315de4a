#!/bin/sh
# The start of a RabbitMQ container, as far as the public image's contract is used here: the files
# in /etc/rabbitmq/conf.d, the plugins in /etc/rabbitmq/enabled_plugins, RABBITMQ_DEFAULT_USER and
# RABBITMQ_DEFAULT_PASS.
set -eu
mkdir -p "$HOME/mnesia" /etc/rabbitmq /var/log/rabbitmq
chown -R rabbitmq:rabbitmq "$HOME" /etc/rabbitmq /var/log/rabbitmq
exec setpriv --reuid=rabbitmq --regid=rabbitmq --clear-groups rabbitmq-server
