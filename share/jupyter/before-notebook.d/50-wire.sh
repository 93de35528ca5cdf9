# shellcheck shell=sh
# Mounts buckets before a notebook server starts: into /usr/local/bin/before-notebook.d/ of an image
# of the Jupyter Docker Stacks, or sourced by any start script. The server starts when they answer.
#
#   WIRE_MOUNTS    SOURCE MOUNTPOINT [SOURCE MOUNTPOINT ...], or names of mounts of the profile;
#                  without it, all mounts of the profile
#   WIRE_PROFILE   a profile of the configuration file
#   WIRE_WAIT      how long to keep trying where the store or the login is not there yet, such as 20s
#   WIRE_REQUIRED  if set, there is no server without the mounts; otherwise the reason is told
#
# Every other WIRE_ variable and those of a hub (ACCESS_TOKEN, IAM_CLIENT_ID, ...) count as always.

if [ -n "${WIRE_MOUNTS:-}${WIRE_PROFILE:-}" ]; then
  (
    # Words are split and no more: a source is no pattern.
    set -f
    become=
    if [ "$(id -u)" = 0 ] && [ -n "${NB_USER:-}" ] && [ "$NB_USER" != root ]; then
      HOME=$(getent passwd "$NB_USER" | cut -d: -f6)
      export HOME
      become="setpriv --reuid=$NB_USER --regid=$(id -g "$NB_USER") --init-groups"
    fi
    # shellcheck disable=SC2086
    exec $become wire mount ${WIRE_MOUNTS:-} ${WIRE_WAIT:+--wait $WIRE_WAIT} --mkdir --daemon
  ) || [ -z "${WIRE_REQUIRED:-}" ] || exit 1
fi
