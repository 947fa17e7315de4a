#!/bin/sh
# The start of a RabbitMQ container, as far as the public image's contract is used here: the files
# in /etc/rabbitmq/conf.d, and the plugins in /etc/rabbitmq/enabled_plugins.
set -eu
HOME=/var/lib/rabbitmq
export HOME LC_ALL=C.UTF-8 RABBITMQ_LOGS=- RABBITMQ_NODENAME=rabbit@localhost
mkdir -p "$HOME/mnesia" /etc/rabbitmq /var/log/rabbitmq
chown -R rabbitmq:rabbitmq "$HOME" /etc/rabbitmq /var/log/rabbitmq
exec setpriv --reuid=rabbitmq --regid=rabbitmq --clear-groups /usr/lib/rabbitmq/bin/rabbitmq-server
