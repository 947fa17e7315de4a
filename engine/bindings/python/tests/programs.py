"""Programs of a test's own, and the engine that they work for."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]

#: How long anything may take, in seconds.
PATIENCE = 30


class Program:
    """A process of this test's own, with its output line by line."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )

    def address(self):
        """Where it listens, once it does."""
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), line + self.process.stderr.read()
        return line.split()[-1]

    def ended(self):
        """Its exit code, and what it has written to standard error."""
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def plain_environment(**variables):
    """This process's variables without the engine's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STEPMARK_")}
    return {**kept, **variables}


class Engine:
    """An orchestrator on a private PostgreSQL."""

    def __init__(self, database_url, url):
        self.database_url = database_url
        self.url = url

    def worker(self, script, *arguments, **variables):
        """A worker program, as a process."""
        environment = plain_environment(
            STEPMARK_DATABASE_URL=self.database_url,
            STEPMARK_NATIVE=os.environ["STEPMARK_NATIVE"],
            **variables,
        )
        return Program([sys.executable, str(script), *arguments], env=environment)

    def ask(self, path, body=None):
        """The answer of the API, of a POST where there is a body."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def start(self, namespace, template, context):
        """Starts a task, and gives its id."""
        body = {"namespace": namespace, "template": template, "context": context}
        return self.ask("/v1/tasks", body)["task_uuid"]

    def ended(self, task):
        """The task, once it has ended."""
        return self.ask(f"/v1/tasks/{task}?wait={PATIENCE}")

    def until(self, task, condition):
        """The task, once this holds of it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self.ask(f"/v1/tasks/{task}")
            if condition(found):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
