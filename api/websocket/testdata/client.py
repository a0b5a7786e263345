"""A client that shares nothing with ours: Debian's python3-websockets.

python3 client.py URL    talks to itself through the server, over two connections
"""

import asyncio
import json
import sys

import websockets

URL = sys.argv[1]


def event(topic, name, *args):
    return json.dumps({
        "type": "data-message", "topic": topic, "@data-type": "vector",
        "data": [
            {"@data-type": "count", "data": 1}, {"@data-type": "count", "data": 1},
            {"@data-type": "vector", "data": [
                {"@data-type": "string", "data": name},
                {"@data-type": "vector", "data": [{"@data-type": t, "data": v} for t, v in args]}]}]})


async def recv(ws):
    return json.loads(await asyncio.wait_for(ws.recv(), 20))


async def hello(ws, *topics):
    await ws.send(json.dumps(topics))
    ack = await recv(ws)
    assert ack["type"] == "ack" and "-websocket-" in ack["endpoint"] and ack["version"], ack


async def main():
    headers = {"X-Application-Name": "python/10"}
    async with websockets.connect(URL, extra_headers=headers, max_size=None) as a, websockets.connect(URL, max_size=None) as b:
        await hello(a, "/py/a")
        await hello(b, "/py/b")
        args = [("string", "h\u00e9llo \u0000\"\U0001f600"), ("count", 2**64 - 1), ("integer", -1), ("real", 0.5), ("boolean", True),
                ("address", "2001:db8::1"), ("subnet", "10.0.0.0/8"), ("port", "443/tcp"), ("timespan", "90s"),
                ("timestamp", "2023-11-14T22:13:20.250"), ("enum-value", "Conn::LOG"),
                ("set", [{"@data-type": "count", "data": 1}]), ("vector", [{"@data-type": "none", "data": {}}]),
                ("table", [{"key": {"@data-type": "string", "data": "k"}, "value": {"@data-type": "count", "data": 7}}])]
        await a.send(event("/py/b/x", "Py::all", *args))
        got = await recv(b)
        want = json.loads(event("/py/b/x", "Py::all", *args))
        assert got == want, (got, want)

        for n in range(1000):
            await a.send(event("/py/b", "Py::n", ("count", n)))
        for n in range(1000):
            got = await recv(b)
            assert got["data"][2]["data"][1]["data"][0]["data"] == n, (n, got)

        # In fragments, both ways.
        big = "x" * 200000
        text = event("/py/a", "Py::big", ("string", big))
        await b.send(text[i:i + 1000] for i in range(0, len(text), 1000))
        got = await recv(a)
        assert got["data"][2]["data"][1]["data"][0]["data"] == big

        await a.send("{")
        err = await recv(a)
        assert err == {"type": "error", "code": "deserialization_failed", "context": "failed to decode JSON object"}, err
        await (await a.ping())

    bad = URL.replace("/v1/", "/v0/")
    async with websockets.connect(bad) as c:
        err = await recv(c)
        assert err["code"] == "invalid_uri", err
        try:
            await recv(c)
        except websockets.ConnectionClosedError as e:
            assert (e.rcvd.code, e.rcvd.reason) == (1008, "Invalid URI - use /v1/messages/json"), e
        else:
            raise AssertionError("not closed")

    try:
        await websockets.connect(URL, origin="http://evil.example")
    except websockets.InvalidStatusCode as e:
        assert e.status_code == 403, e
    else:
        raise AssertionError("a foreign page came in")
    print("ok")


asyncio.run(main())
