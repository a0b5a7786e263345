// A client that shares nothing with ours: the browser's own WebSocket. run(URL)
// talks to itself through the server, over two connections, and says "ok".

const event = (topic, name, ...args) => JSON.stringify({
  type: "data-message", topic, "@data-type": "vector",
  data: [
    { "@data-type": "count", data: 1 }, { "@data-type": "count", data: 1 },
    { "@data-type": "vector", data: [
      { "@data-type": "string", data: name },
      { "@data-type": "vector", data: args.map(([t, v]) => ({ "@data-type": t, data: v })) }] }],
});

// connect resolves with a connection that has next(), a promise of a message;
// refused(URL), with how the handshake failed.
function connect(url, topics) {
  return new Promise((done, fail) => {
    const ws = new WebSocket(url), queue = [], waiting = [];
    ws.next = () => new Promise((f) => (queue.length ? f(queue.shift()) : waiting.push(f)));
    ws.closed = new Promise((f) => { ws.onclose = (e) => { f([e.code, e.reason, e.wasClean]); fail(new Error("closed " + e.code + " " + e.reason)); }; });
    ws.onmessage = (e) => {
      const m = JSON.parse(e.data);
      if (waiting.length) waiting.shift()(m); else queue.push(m);
    };
    ws.onopen = async () => {
      if (!topics) return done(ws);
      ws.send(JSON.stringify(topics));
      const ack = await ws.next();
      if (ack.type !== "ack" || !ack.endpoint.includes("-websocket-") || !ack.version) fail(new Error(JSON.stringify(ack)));
      done(ws);
    };
  });
}

const refused = (url) => new Promise((f) => {
  const ws = new WebSocket(url);
  let opened = false;
  ws.onopen = () => { opened = true; };
  ws.onclose = (e) => f([opened, e.code]);
});

function same(got, want) {
  const sort = (v) => (Array.isArray(v) ? v.map(sort) : v && typeof v === "object" ? Object.fromEntries(Object.keys(v).sort().map((k) => [k, sort(v[k])])) : v);
  const [g, w] = [JSON.stringify(sort(got)), JSON.stringify(sort(want))];
  if (g !== w) throw new Error("got " + g + " want " + w);
}

async function run(url) {
  const a = await connect(url, ["/js/a"]), b = await connect(url, ["/js/b"]);
  const args = [["string", "h\u00e9llo \u0000\"\u{1f600}"], ["count", 2 ** 40], ["integer", -1], ["real", 0.5], ["boolean", true],
    ["address", "2001:db8::1"], ["subnet", "10.0.0.0/8"], ["port", "443/tcp"], ["timespan", "90s"], ["timestamp", "2023-11-14T22:13:20.250"],
    ["enum-value", "Conn::LOG"], ["set", [{ "@data-type": "count", data: 1 }]], ["vector", [{ "@data-type": "none", data: {} }]],
    ["table", [{ key: { "@data-type": "string", data: "k" }, value: { "@data-type": "count", data: 7 } }]]];
  a.send(event("/js/b/x", "Js::all", ...args));
  same(await b.next(), JSON.parse(event("/js/b/x", "Js::all", ...args)));

  for (let n = 0; n < 1000; n++) a.send(event("/js/b", "Js::n", ["count", n]));
  for (let n = 0; n < 1000; n++) same((await b.next()).data[2].data[1].data[0].data, n);

  const big = "x".repeat(200000);
  b.send(event("/js/a", "Js::big", ["string", big]));
  same((await a.next()).data[2].data[1].data[0].data, big);

  a.send("{");
  same(await a.next(), { type: "error", code: "deserialization_failed", context: "failed to decode JSON object" });

  const c = await connect(url.replace("/v1/", "/v0/"));
  same((await c.next()).code, "invalid_uri");
  same(await c.closed, [1008, "Invalid URI - use /v1/messages/json", true]);
  a.close(1000, "bye");
  same(await a.closed, [1000, "bye", true]);

  // What comes to this page from the cluster, last: the test publishes it now.
  b.send(event("/js/ready", "Js::ready"));
  same((await b.next()).data[2].data[0].data, "from::node");
  return "ok";
}
