"""A server without any package, of the older protocol; its ways of failing are its arguments.

``raw.py TOOLS [WAY ...]``: TOOLS is a JSON file with its list of tools, read for each request.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

JSON = dict[str, Any]
tools, ways = Path(sys.argv[1]), set(sys.argv[2:])


def send(message: JSON) -> None:
    """One message on a line."""
    write(json.dumps({"jsonrpc": "2.0", **message}))


def write(line: str) -> None:
    """One line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def answer(request: JSON) -> None:
    """What the request asks for."""
    method, number = request["method"], request["id"]
    if method == "initialize":
        result: JSON = {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "raw", "version": "1"},
        }
    elif method == "tools/list":
        result = {"tools": json.loads(tools.read_text())}
        if "ring" in ways:
            result["nextCursor"] = "again"
    elif method == "tools/call" and request["params"]["name"] == "refuse":
        send({"id": number, "error": request["params"]["arguments"]["error"]})
        return
    elif method == "tools/call":
        result = called(request["params"])
    else:
        send({"id": number, "error": {"code": -32601, "message": "no such method"}})
        return
    send({"id": number, "result": result})


def called(params: JSON) -> JSON:
    """The result of a tool: its arguments, unless its name is a way of failing."""
    name, arguments = params["name"], params.get("arguments") or {}
    if name in FAILING:
        FAILING[name]()
    if name == "garbage":
        return {"content": [{"type": "no such type"}]}
    if name == "change":
        tools.write_text(json.dumps(arguments["tools"]))
        send({"method": "notifications/tools/list_changed"})
    if name == "say":
        said: JSON = arguments["result"]
        return said
    if name == "who":
        arguments = {"pid": os.getpid()}
    if name == "look":
        arguments = look(arguments["path"])
    if name == "write":
        arguments = {"written": write_file(Path(arguments["path"]))}
    return {"content": [{"type": "text", "text": json.dumps(arguments)}]}


def look(path: str) -> JSON:
    """What there is for this process."""
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    return {
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "there": bool(path) and Path(path).exists(),
        "interfaces": [line.partition(":")[0].strip() for line in lines],
    }


def write_file(path: Path) -> bool:
    """Whether it can."""
    try:
        path.write_text("changed")
    except OSError:
        return False
    return True


def die() -> None:
    """Say something, and be gone."""
    sys.stderr.write("the last words\n")
    sys.stderr.flush()
    os._exit(3)


def sleep() -> None:
    """Answer nothing."""
    time.sleep(3600)


def flood() -> None:
    """Send messages without end."""
    while True:
        send({"method": "notifications/message", "params": {"level": "info", "data": "x"}})


def noise() -> None:
    """Write what is no message."""
    for _ in range(1000):
        write("not a message at all")


def endless() -> None:
    """Write a line without end."""
    while True:
        sys.stdout.write("x" * 65536)


FAILING = {"die": die, "sleep": sleep, "flood": flood, "noise": noise, "endless": endless}


def main() -> None:
    """Answer what comes, in the chosen way."""
    if "banner" in ways:
        write("Welcome to the raw server \x1b[31mv1\x1b[0m")
    if "complain" in ways:
        sys.stderr.write("cannot find my \x1b[31mdata\n")
        sys.stderr.flush()
    if "exit" in ways:
        sys.exit(7)
    if "mute" in ways:
        time.sleep(3600)
    if "deaf" in ways:
        # Its stdin is never read, and it does not end when that is closed.
        time.sleep(3600)
    for line in sys.stdin:
        request = json.loads(line)
        if "strict" in ways and request["method"].startswith("server/"):
            sys.exit(9)
        if "id" in request:
            answer(request)


main()
