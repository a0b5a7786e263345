// The connection to the hub: one stream of lines, each a JSON object, and a few
// questions. The token lives in this tab's session storage and goes nowhere else.

const KEY = "picket.token";

export function token() {
  try { return sessionStorage.getItem(KEY) || ""; } catch { return ""; }
}

export function setToken(t) {
  try { if (t) sessionStorage.setItem(KEY, t); else sessionStorage.removeItem(KEY); } catch { /* a browser that keeps nothing */ }
}

// call fetches path with the token, and throws an Error with what the hub said, its
// status, and whether it had a token. A token that nobody knows is forgotten: what
// is open to all is seen without one.
async function call(path, options) {
  const t = token(), headers = { ...(options && options.headers) };
  if (t) headers.Authorization = "Bearer " + t;
  const r = await fetch(path, { ...options, headers, cache: "no-store" });
  if (r.ok) return r;
  if (r.status === 401 && t && t === token()) setToken("");
  let why = "the hub answers " + r.status;
  try { why = (await r.json()).error || why; } catch { /* no JSON: the status has to do */ }
  throw Object.assign(new Error(why), { status: r.status, token: !!t });
}

// ask gets JSON, or throws what call does.
export async function ask(path, options) {
  const r = await call(path, options);
  try { return await r.json(); } catch { return {}; }
}

export function post(path, body) {
  return ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

const WAIT = [500, 1000, 2000, 4000, 5000];

// stream calls on.line for each object of the feed, for ever: it connects again
// when the feed ends. on.down is told why.
export function stream(on) {
  let fails = 0, stop = null;
  async function once() {
    stop = new AbortController();
    const r = await call("api/feed", { signal: stop.signal });
    const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      let end;
      while ((end = rest.indexOf("\n")) >= 0) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 1);
        fails = 0;
        on.line(JSON.parse(line));
      }
    }
  }
  (async () => {
    for (;;) {
      let why = new Error("the hub has gone");
      try { await once(); } catch (e) { why = e; }
      on.down(why);
      await new Promise((f) => setTimeout(f, WAIT[Math.min(fails++, WAIT.length - 1)]));
    }
  })();
  return { again() { fails = 0; if (stop) stop.abort(); } };
}
