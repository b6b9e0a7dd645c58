"""docs/language_server.md says what the server does: its parameters, and examples that are asked of a real one."""

from __future__ import annotations

import json
import re

from sync.lsp.failures import CODES
from sync.lsp.lenses import COMMANDS
from sync.lsp.requests import ANSWERS
from sync.lsp.shapes import REQUESTS
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "language_server.md").read_text(encoding="utf-8")
EXAMPLES = {
    found[1]: [json.loads(one) for one in re.findall(r"^```json\n(.*?)^```", found[2], re.MULTILINE | re.DOTALL)]
    for found in re.finditer(r"^### `luasprocs/(\w+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
HELLO = "-- description=a first sproc\nreturn 'hello ' .. ARGV[1] .. ', number ' .. redis.call('INCR', KEYS[1])\n"


def shape(value):
    """The types in it; of a list those of its first element, of a map from names what one of them has."""
    if isinstance(value, dict):
        names = set(value) <= {"hello.lua"}
        return {"*" if names else key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value[:1]]
    return "number" if isinstance(value, int) and not isinstance(value, bool) else type(value).__name__


def test_the_page_names_every_request_its_parameters_and_every_code():
    rows = re.findall(r"^\| `(luasprocs/\w+)` \|(.*?)\| .+ \|$", PAGE, re.MULTILINE)
    assert {name: dict(re.findall(r"`(\w+)`: ([\w?]+)", said)) for name, said in rows} == REQUESTS
    assert REQUESTS.keys() == ANSWERS.keys() == {f"luasprocs/{name}" for name in EXAMPLES}
    codes = PAGE.partition("| Code |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` ", codes, re.MULTILINE)) == set(CODES)
    lenses = PAGE.partition("| Command |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `luasprocs\.(\w+)` ", lenses, re.MULTILINE) == list(COMMANDS)


def test_the_examples_are_what_the_server_takes_and_answers(shop, ann):
    shop.commit_live("hello.lua", HELLO)
    ann.open("hello.lua")
    ann.change("hello.lua", f"{HELLO}-- more\n")
    blob, generation = "", ann.own("live", name="hello.lua")["generation"]
    for name in ("state", "publish", "list", "run", "live", "history", "rollback", "metadata", "setMetadata", "pause"):
        params, result, *_ = EXAMPLES[name]
        given = {**params, **({"uri": ann.uri("hello.lua")} if "uri" in params else {})}
        given |= {key: value for key, value in (("blob", blob), ("generation", generation)) if key in params}
        found = ann.own(name, **given)
        blob = found.get("blob", blob)
        if name == "list":
            found["sprocs"] = [one for one in found["sprocs"] if one["name"] == "hello.lua"]
        assert shape(found) == shape(result), name
    ann.close("hello.lua")
    conflict = EXAMPLES["publish"][2]
    ann.open("hello.lua", "return 3\n")
    assert shape(ann.own("publish", uri=ann.uri("hello.lua"))) == shape(conflict)


def test_an_execution_is_told_as_on_the_page(ann):
    params, result, told = EXAMPLES["tail"]
    assert ann.own("tail", **params) == result
    ann.own("run", name="own9.lua", keys=["tailed"])
    found = ann.told("luasprocs/executions", lambda one: one["records"])
    assert shape(found) == shape(told)
    assert (found["records"][0]["sproc"], found["records"][0]["reply"]) == ("own9.lua", "1")
    assert ann.own("tail", on=False) == {"on": False}
