"""The Grafana dashboard in deploy/grafana: it names metrics that exist, and Prometheus answers each of its queries."""

from __future__ import annotations

import json
import re
import shutil
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from twisted.web.client import Agent, readBody

from tests.processes import ProcessTestCase, Running
from tests.web.browser import WebTestCase, frame

_DASHBOARD = json.loads(Path(__file__).parent.parent.joinpath("deploy/grafana/twistedcam.json").read_text())
_METRIC = r"\b(?:twistedcam|process)_\w+"
_CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: cameras, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""


def queries() -> list[str]:
    """The queries of all panels."""
    return [target["expr"] for panel in _DASHBOARD["panels"] for target in panel["targets"]]


def filled_in(query: str) -> str:
    """C{query} as Grafana sends it, with all servers and cameras chosen."""
    for name, value in (("__rate_interval", "10s"), ("__range", "30s"), ("instance", ".*"), ("camera", ".*")):
        query = query.replace(f"${name}", value)
    return query


class FormTests(SynchronousTestCase):
    """What Grafana needs of the file."""

    def test_panels(self) -> None:
        """Panels have numbers of their own, lie beside each other within 24 columns, and ask the chosen source."""
        panels = _DASHBOARD["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        for panel in panels:
            self.assertLessEqual(panel["gridPos"]["x"] + panel["gridPos"]["w"], 24)
            for part in (panel, *panel["targets"]):
                self.assertEqual(part["datasource"], {"type": "prometheus", "uid": "${datasource}"})
        for one, other in combinations((panel["gridPos"] for panel in panels), 2):
            is_apart = any(
                first[at] + first[size] <= second[at]
                for first, second in ((one, other), (other, one))
                for at, size in (("x", "w"), ("y", "h"))
            )
            self.assertTrue(is_apart, (one, other))

    def test_variables(self) -> None:
        """Each variable in a query is one of the dashboard's, or of Grafana's own."""
        names = {variable["name"] for variable in _DASHBOARD["templating"]["list"]}
        used = set(re.findall(r"\$\{?(\w+)", json.dumps(_DASHBOARD))) - {"__all"}
        self.assertEqual(used, names | {"__rate_interval", "__range"})


class MetricsTests(WebTestCase):
    """The metrics that it names."""

    async def test_exist(self) -> None:
        """Each is one of C{/metrics}."""
        await self.serve()
        stream = await self.send("/stream")
        await self.until(lambda: self.hub.is_watched)
        self.hub.publish(frame(1))
        await self.until(stream.frames)
        self.metrics.on_encoded("desk")(0.004)
        self.clock.advance(1)
        for camera in self.cameras.values():
            camera.recording = lambda: {"file": None, "bytes": 0, "problem": ""}
        text = (await self.ask("/metrics")).body.decode()
        found = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
        variables = [str(variable["query"]) for variable in _DASHBOARD["templating"]["list"]]
        named = {name for text in (*queries(), *variables) for name in re.findall(_METRIC, text)}
        self.assertGreater(len(named), 10)
        self.assertEqual({name for name in named if name not in found}, set())


class PrometheusTests(ProcessTestCase):
    """A real Prometheus that scrapes a real server."""

    def setUp(self) -> None:
        super().setUp()
        if shutil.which("prometheus") is None:
            raise SkipTest("needs the program prometheus")

    async def get(self, url: str) -> Any:
        """The JSON at C{url}."""
        response = await Agent(reactor).request(b"GET", url.encode())
        return json.loads(await readBody(response))

    def prometheus(self, port: int) -> Running:
        """A Prometheus that scrapes the server at C{port}."""
        folder = Path(self.folder)
        folder.joinpath("prometheus.yml").write_text(_CONFIG.format(port=port))
        words = [f"--{name}" for name in ("config.file=prometheus.yml", "storage.tsdb.path=data")]
        program = shutil.which("prometheus") or ""
        return self.start(program, *words, "--web.listen-address=127.0.0.1:0")

    async def test_queries(self) -> None:
        """Each query is answered, and those about cameras and viewers with a series."""
        server = self.serve("--http", "tcp:0:interface=127.0.0.1", "--camera", "desk=test", "--record", "recordings")
        port = int((await server.said(r"watch with: http://127.0.0.1:(\d+)/"))[1])
        self.watch()
        prometheus = self.prometheus(port)
        address = (await prometheus.said(r"Listening on.*?address=(127[\d.:]+)"))[1]
        api = f"http://{address}/api/v1"
        answered: dict[str, bool] = dict.fromkeys(queries(), False)
        while not all(answered.values()):
            await deferLater(reactor, 0.5)
            for query in answered:
                answer = await self.get(f"{api}/query?query={quote(filled_in(query))}")
                self.assertEqual(answer["status"], "success", (query, answer))
                answered[query] = bool(answer["data"]["result"])
