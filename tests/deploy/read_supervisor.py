"""Reads configurations as supervisord does, with its own code: one JSON text a line comes in, the
programs of that file go out. Started by the Python that Supervisor is installed for."""

import io
import json
import shlex
import sys

from supervisor.options import ServerOptions, UnhosedConfigParser

for line in sys.stdin:
    options = ServerOptions()
    options.here = "/here"
    options.environ_expansions = {}
    parser = UnhosedConfigParser()
    parser.read_file(io.StringIO(json.loads(line)))
    parser.expand_here(options.here)
    found = [
        {
            "name": each.name,
            "command": shlex.split(each.command),
            "directory": each.directory,
            "user": each.uid,
            "environment": each.environment,
            "log": each.stdout_logfile,
            "signal": each.stopsignal,
            "wait": each.stopwaitsecs,
            "groups": [each.stopasgroup, each.killasgroup],
            "retries": each.startretries,
        }
        for section in parser.sections()
        for each in options.processes_from_section(parser, section, "group")
    ]
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
