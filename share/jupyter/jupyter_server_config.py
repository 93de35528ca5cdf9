"""Mounts buckets before a jupyter server answers, and unmounts them when it ends.

For ~/.jupyter/ or /etc/jupyter/, or to be read by a configuration that is there already:
    load_subconfig("/path/to/this/file")

WIRE_MOUNTS, WIRE_PROFILE, WIRE_WAIT and WIRE_REQUIRED mean what they mean in
before-notebook.d/50-wire.sh.
"""

import atexit
import os
import shlex
import subprocess
import sys

WORDS = shlex.split(os.environ.get("WIRE_MOUNTS", ""))
WAIT = ["--wait", os.environ["WIRE_WAIT"]] if os.environ.get("WIRE_WAIT") else []


def stop_wire(mount):
    """Saves everything and unmounts: it may take as long as the store needs."""
    mount.terminate()
    mount.wait()


# Jupyter may read its configuration more than once.
if (WORDS or os.environ.get("WIRE_PROFILE")) and not hasattr(sys, "wire_mount"):
    sys.wire_mount = subprocess.Popen(
        ["wire", "mount", *WORDS, *WAIT, "--mkdir"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # Ctrl-C in a terminal is for the server, which stops the mounts when it has ended.
        start_new_session=True,
    )
    # The first line comes when every mount answers; without one there are none, and wire has said why.
    if sys.wire_mount.stdout.readline():
        atexit.register(stop_wire, sys.wire_mount)
    elif os.environ.get("WIRE_REQUIRED"):
        raise SystemExit(f"wire mount ended with {sys.wire_mount.wait()}")
