"""``clawd tasks``: delegate, watch, end."""

from __future__ import annotations

import json
from typing import Any

import click

from clawd.cli.client import JSON
from clawd.cli.groups import group
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.nearest import naming_the_nearest, quoted, session_ids
from clawd.cli.times import age, count, spent
from clawd.errors import Invalid, TimedOut

_AT = "/api/tasks"
FINAL = frozenset({"completed", "failed", "cancelled"})
ENDED_BADLY = 8
WAIT_SECONDS = 3600.0
_ONE_WAIT = 60.0
_WIDE = 110

_task = click.argument("task")


def ask(invocation: Invocation, task: str, method: str, path: str = "", body: Any = None) -> JSON:
    """One request about a task; an unknown id is answered with the nearest."""
    with naming_the_nearest(invocation.client, _AT, task):
        return invocation.client.ask(method, f"{_AT}/{quoted(task, 'task')}{path}", body)


@command("list", "clawd tasks list", "clawd tasks list --assigned-to coder --status failed")
@click.option("--created-by", metavar="S", help="Created by one session alone.")
@click.option("--assigned-to", metavar="S", help="Given to one session alone.")
@click.option("--status", help="In one state alone.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, help="At most so many.")
@pass_invocation
def list_(
    invocation: Invocation,
    created_by: str | None,
    assigned_to: str | None,
    status: str | None,
    limit: int,
) -> None:
    """Tasks with their states, newest last."""
    if created_by and assigned_to:
        raise Invalid("usage", "--created-by and --assigned-to exclude each other")
    query = {
        "session": created_by or assigned_to,
        "created": not assigned_to,
        "assigned": not created_by,
        "status": status,
        "limit": limit,
    }
    with naming_the_nearest(invocation.client, "/api/sessions", created_by or assigned_to or ""):
        found = invocation.client.get(_AT, query)
    out = invocation.out
    if out.as_json:
        out.document(found)
        return
    if not found["items"]:
        out.note("no tasks")
        return
    narrow = out.columns is not None and out.columns < _WIDE
    out.table(
        ("id", "status", "from", "to", "age", "used", "task"),
        [
            (
                item["id"],
                item["status"],
                item["fromSession"],
                item["toSession"],
                age(item.get("createdAt")),
                # Of tokens and their price a narrow terminal has room for one.
                (narrow and spent(item.get("cost"))) or used(item.get("cost")),
                item["task"],
            )
            for item in found["items"]
        ],
    )


def used(cost: JSON | None) -> str:
    """What a task used: tokens, and USD where the price is known; ``~`` marks an estimate."""
    if not cost:
        return ""
    about = "~" if cost.get("estimated") else ""
    price = spent(cost)
    tokens = f"{about}{count(cost['inputTokens'] + cost['outputTokens'])}"
    return f"{tokens} tokens, {price}" if price else f"{tokens} tokens"


def show_task(invocation: Invocation, task: JSON) -> None:
    """One task, whole."""
    out = invocation.out
    if out.as_json:
        out.document(task)
        return
    long = ("schema", "task", "result", "error", "context")
    shown = {**task, "cost": used(task.get("cost"))}
    out.facts((key, value) for key, value in shown.items() if key not in long)
    for key in ("task", "context", "result", "error"):
        value = task.get(key)
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            out.line((key, "bold"))
            out.line(text)


@command("show", "clawd tasks show task-01k...", "clawd tasks show task-01k... --json")
@_task
@pass_invocation
def show(invocation: Invocation, task: str) -> None:
    """One task, whole."""
    show_task(invocation, ask(invocation, task, "GET"))


@command("tree", "clawd tasks tree", "clawd tasks tree task-01k...")
@click.argument("task", required=False)
@pass_invocation
def tree(invocation: Invocation, task: str | None) -> None:
    """Tasks below the tasks that they are part of."""
    items: list[JSON] = invocation.client.get(_AT, {"limit": 1000})["items"]
    by_id = {str(item["id"]): item for item in items}
    if task is not None and task not in by_id:
        by_id[task] = ask(invocation, task, "GET")
    children: dict[str, list[str]] = {}
    for name, item in by_id.items():
        parent = str(item.get("parentTask") or "")
        children.setdefault(parent if parent in by_id else "", []).append(name)
    roots = [task] if task is not None else children.get("", [])

    def branch(name: str) -> JSON:
        return {**by_id[name], "children": [branch(child) for child in children.get(name, ())]}

    out = invocation.out
    found = [branch(name) for name in roots]
    if out.as_json:
        out.document({"schema": "clawd.tasks/1", "items": found, "next": None})
        return

    def draw(item: JSON, depth: int) -> None:
        route = f"{item['fromSession']} -> {item['toSession']}"
        out.line(
            "  " * depth, (item["id"], "bold"), f" {item['status']} {route}: ", item["task"][:60]
        )
        for child in item["children"]:
            draw(child, depth + 1)

    for item in found:
        draw(item, 0)


def _context(text: str | None) -> JSON | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as problem:
        raise Invalid("invalid_context", f"--context is not JSON: {problem}") from None
    if not isinstance(value, dict):
        raise Invalid("invalid_context", "--context must be a JSON object")
    return value


@command(
    "delegate",
    'clawd tasks delegate coder "Write a function that adds two numbers" --wait',
    """clawd tasks delegate researcher "Look this up" --context '{"topic": "otters"}'""",
)
@click.argument("session", shell_complete=session_ids)
@click.argument("text")
@click.option("--context", metavar="JSON", help="A JSON object that goes along.")
@click.option("--from", "sender", metavar="S", help="In the name of a session.")
@click.option("--priority", type=click.IntRange(0, 10), help="0 to 10; 5 if left out.")
@click.option("--deadline", type=click.FloatRange(min=0), metavar="S", help="Fail after S seconds.")
@click.option("--depends-on", multiple=True, metavar="TASK", help="Start when this one is done.")
@click.option("--key", metavar="KEY", help="Asked again with the same key, it is given once.")
@click.option("--wait", is_flag=True, help="Wait for the end; exit 8 when it is not a success.")
@pass_invocation
def delegate(
    invocation: Invocation,
    session: str,
    text: str,
    context: str | None,
    sender: str | None,
    priority: int | None,
    deadline: float | None,
    depends_on: tuple[str, ...],
    key: str | None,
    wait: bool,
) -> int:
    """Give a session a task."""
    wanted = {
        "toSession": session,
        "task": text,
        "context": _context(context),
        "fromSession": sender,
        "priority": priority,
        "deadlineSeconds": deadline,
        "dependsOn": list(depends_on) or None,
        "idempotencyKey": key,
    }
    body = {name: value for name, value in wanted.items() if value is not None}
    sessions = "/api/sessions"
    others = [(sessions, sender or session), *((_AT, task) for task in depends_on)]
    with naming_the_nearest(invocation.client, sessions, session, *others):
        made = invocation.client.post(_AT, body)
    if wait:
        invocation.out.note(f"{made['id']} {made['status']} -> {session}")
        return until_final(invocation, made["id"])
    if invocation.out.as_json:
        invocation.out.document(made)
    else:
        invocation.out.line(f"{made['id']} {made['status']} -> {session}")
    if made.get("targetStatus") == "paused":
        invocation.out.note(f"{session} is paused: the task waits for clawd resume")
    return 0


def until_final(invocation: Invocation, task: str) -> int:
    """Wait until a task is final and show it; 0 when it completed, else 8."""
    left = invocation.timeout or WAIT_SECONDS
    while True:
        step = min(left, _ONE_WAIT)
        with naming_the_nearest(invocation.client, _AT, task):
            found = invocation.client.get(
                f"{_AT}/{quoted(task, 'task')}", {"wait": step}, timeout=step + 15
            )
        left -= step
        if found["status"] in FINAL:
            break
        if left <= 0:
            raise TimedOut(
                "timed_out", f"{task} is still {found['status']}", hint="wait longer: --timeout S"
            )
    if invocation.out.as_json:
        invocation.out.document(found)
    elif found["status"] == "completed":
        invocation.out.line(str(found.get("result") or ""))
    else:
        why = found.get("error") or found.get("reason") or ""
        invocation.out.note((f"{task} {found['status']}: ", "red"), str(why))
    return 0 if found["status"] == "completed" else ENDED_BADLY


@command("wait", "clawd tasks wait task-01k...", "clawd tasks wait task-01k... --timeout 60")
@_task
@pass_invocation
def wait(invocation: Invocation, task: str) -> int:
    """Wait for the end of a task and print its result; exit 8 when it failed or was cancelled."""
    return until_final(invocation, task)


@command(
    "cancel", "clawd tasks cancel task-01k...", 'clawd tasks cancel task-01k... --reason "late"'
)
@_task
@click.option("--reason", help="Why; the worker and the creator see it.")
@pass_invocation
def cancel(invocation: Invocation, task: str, reason: str | None) -> None:
    """Cancel a task; its turn is stopped."""
    done = ask(invocation, task, "POST", "/cancel", {"reason": reason} if reason else {})
    invocation.report(done, f"{done['id']} {done['status']}")


@command("retry", "clawd tasks retry task-01k...", "clawd tasks retry task-01k... --json")
@_task
@pass_invocation
def retry(invocation: Invocation, task: str) -> None:
    """Give the same task again, as a new one."""
    made = ask(invocation, task, "POST", "/retry", {})
    invocation.report(made, f"{made['id']} {made['status']} (again {task})")


@command(
    "complete",
    'clawd tasks complete task-01k... --result "Done"',
    'clawd tasks complete X --error "No"',
)
@_task
@click.option("--result", help="It is completed, with this result.")
@click.option("--error", help="It failed, for this reason.")
@pass_invocation
def complete(invocation: Invocation, task: str, result: str | None, error: str | None) -> None:
    """End a task in its worker's stead."""
    if (result is None) == (error is None):
        raise Invalid("usage", "give --result or --error, one of them")
    body = {"result": result} if result is not None else {"error": error}
    done = ask(invocation, task, "POST", "/complete", body)
    invocation.report(done, f"{done['id']} {done['status']}")


_HERE = "clawd.cli.commands.tasks:"
tasks = group(
    "tasks",
    "Delegate, watch and end tasks.",
    {
        "list": (_HERE + "list_", "Tasks with their states."),
        "show": (_HERE + "show", "One task, whole."),
        "tree": (_HERE + "tree", "Tasks below their parents."),
        "delegate": (_HERE + "delegate", "Give a session a task."),
        "wait": (_HERE + "wait", "Wait for the end; exit 8 if it is not a success."),
        "cancel": (_HERE + "cancel", "Cancel one."),
        "retry": (_HERE + "retry", "Give it again."),
        "complete": (_HERE + "complete", "End one in its worker's stead."),
    },
    'clawd tasks delegate coder "Review the last change" --wait',
    "clawd tasks list",
)
